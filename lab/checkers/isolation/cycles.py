"""Finds the cycles of a dependency graph that have a name, one short one for each.

Every cycle lies within a strongly connected component, so each is searched by itself (Tarjan 1972; Elle does the same).
Three searches, as in Elle: over ww edges, over ww and wr edges, and for cycles with rw edges.

- Exactly one rw edge, from u to v: there must be a way back from v to u over ww and wr edges. Which nodes reach which
  is computed once for a component, as sets of bits, so no such cycle is missed, however large the component is. What
  ends the way back matters to the name, so each edge into u is tried.
- Two rw edges or more: from each rw edge, the shortest way back that holds another. Where there is no cycle with one rw
  edge this finds the shortest. Otherwise the way may meet itself, and then it is left out: the component has a finding.

Direct cycles, of two transactions, are all looked at. Of longer ones a bounded number is; the bound can cost a name or
a shorter example, never the last finding of a component. The same graph gives the same cycles: nothing here depends on
the order of a set.
- Two rw edges or more, of which no two follow each other: see `apart` beside this file.
"""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence

from lab.checkers.isolation.anomalies import vanishes
from lab.checkers.isolation.apart import reads_apart
from lab.checkers.isolation.graph import Edge, EdgeKind, Graph
from lab.checkers.isolation.multigraph import components

__all__ = ["cycles_of"]

Neighbours = dict[str, dict[str, list[Edge]]]
Cycle = tuple[Edge, ...]

MOST_LONGER = 50
"""Longer cycles that are looked at for each search of a component and each key of `bucket`."""

_WRITTEN = frozenset({EdgeKind.WW})
_SEEN = frozenset({EdgeKind.WW, EdgeKind.WR})


def cycles_of(graph: Graph, bucket: Callable[[Edge, Edge], object]) -> Iterator[Cycle]:
    """Cycles of every class, not only the shortest. One with rw edges begins with one of them.

    `bucket` separates cycles with one rw edge that must each be found, given that edge and the one that closes it.
    """
    position = {node: number for number, node in enumerate(graph)}
    for component in components(graph.after):
        if len(component) > 1:
            nodes = sorted(component, key=position.__getitem__)
            neighbours = _within(graph, nodes)
            yield from _no_early_read(neighbours, _WRITTEN, EdgeKind.WW)
            yield from _no_early_read(neighbours, _SEEN, EdgeKind.WR)
            yield from _one_early_read(neighbours, bucket)
            yield from reads_apart(neighbours)
            yield from _more_early_reads(neighbours, position)


def _within(graph: Graph, nodes: Sequence[str]) -> Neighbours:
    inside = set(nodes)
    return {
        node: {other: list(between) for other, between in graph.after[node].items() if other in inside}
        for node in nodes
    }


def _only(neighbours: Neighbours, keep: Callable[[Edge], bool]) -> Neighbours:
    """The graph without the edges that are not to be kept."""
    kept = {
        node: {other: [edge for edge in edges if keep(edge)] for other, edges in others.items()}
        for node, others in neighbours.items()
    }
    return {node: {other: edges for other, edges in others.items() if edges} for node, others in kept.items()}


def _no_early_read(neighbours: Neighbours, kinds: Collection[EdgeKind], wanted: EdgeKind) -> Iterator[Cycle]:
    """For each component over edges of such kinds, the shortest cycle that begins with one of the wanted kind."""
    kept = _only(neighbours, lambda edge: edge.kind in kinds)
    for nodes in _components(kept):
        inside = set(nodes)
        best: Cycle = ()
        starts = [edge for node in nodes for edge in _all(kept[node]) if edge.kind is wanted and edge.target in inside]
        for first in starts[:MOST_LONGER]:
            way = _way(kept, first.target, first.source, first.item)
            if way is not None and (not best or len(way) + 1 < len(best)):
                best = (first, *way)
        if best:
            yield best


def _components(neighbours: Neighbours) -> list[list[str]]:
    """Components of two nodes or more, each in the order of the nodes."""
    position = {node: number for number, node in enumerate(neighbours)}
    found = components(neighbours)
    several = [sorted(each, key=position.__getitem__) for each in found if len(each) > 1]
    return sorted(several, key=lambda nodes: position[nodes[0]])


def _one_early_read(neighbours: Neighbours, bucket: Callable[[Edge, Edge], object]) -> Iterator[Cycle]:
    seen = _only(neighbours, lambda edge: edge.kind in _SEEN)
    bit, reached = _reach(seen)
    longer: dict[object, list[tuple[Edge, Edge]]] = defaultdict(list)
    for first, last in _opened_and_closed(neighbours, seen):
        if last.source == first.target:
            yield first, last
        elif reached[first.target] >> bit[last.source] & 1:
            longer[bucket(first, last)].append((first, last))
    for pairs in longer.values():
        for first, last in pairs[:MOST_LONGER]:
            way = _way(seen, first.target, last.source, first.item)
            assert way is not None, "what is reached has a way to it"
            if _simple((first, *way, last)):
                yield (first, *way, last)


def _opened_and_closed(neighbours: Neighbours, seen: Neighbours) -> Iterator[tuple[Edge, Edge]]:
    """Each rw edge with each edge that may close its cycle. An edge given by an item is left out for a predicate."""
    into: dict[str, list[Edge]] = defaultdict(list)
    for others in seen.values():
        for edge in _all(others):
            into[edge.target].append(edge)
    for others in neighbours.values():
        for first in _all(others):
            if first.kind is EdgeKind.RW:
                known = bool(first.predicate) and _given_by_item(neighbours, first)
                yield from ((first, last) for last in into[first.source] if not known or vanishes(first, last))


def _given_by_item(neighbours: Neighbours, edge: Edge) -> bool:
    """Whether an item gives the rw edge that a predicate gives."""
    between = neighbours[edge.source][edge.target]
    return any(other.kind is EdgeKind.RW and not other.predicate for other in between)


def _reach(neighbours: Neighbours) -> tuple[dict[str, int], dict[str, int]]:
    """The number of each node's bit, and for each node the bits of all that it reaches, itself among them."""
    bit = {node: number for number, node in enumerate(neighbours)}
    reached: dict[str, int] = {}
    for component in components(neighbours):
        bits = 0
        for node in component:
            bits |= 1 << bit[node]
            for other in neighbours[node]:
                bits |= reached.get(other, 0)
        reached.update(dict.fromkeys(component, bits))
    return bit, reached


def _more_early_reads(neighbours: Neighbours, position: dict[str, int]) -> Iterator[Cycle]:
    """First without predicates, so that what items give is not named after a predicate; then through predicates."""
    items = _only(neighbours, lambda edge: edge.kind is not EdgeKind.RW or not edge.predicate)
    yield from _two_early_reads(items, lambda edge: True)
    yield from _two_early_reads(neighbours, lambda edge: bool(edge.predicate))


def _two_early_reads(neighbours: Neighbours, starts: Callable[[Edge], bool]) -> Iterator[Cycle]:
    longer: list[Edge] = []
    for others in neighbours.values():
        for first in _all(others):
            if (
                first.kind is EdgeKind.RW
                and starts(first)
                and not (first.predicate and _given_by_item(neighbours, first))
            ):
                back = neighbours[first.target].get(first.source, [])
                again = next((edge for edge in back if edge.kind is EdgeKind.RW), None)
                if again is None:
                    longer.append(first)
                else:
                    yield first, again
    for first in longer[:MOST_LONGER]:
        way = _way_with_early_read(neighbours, first.target, first.source)
        if way is not None and _simple((first, *way)):
            yield (first, *way)


def _way(neighbours: Neighbours, start: str, goal: str, item: str) -> Cycle | None:
    """The shortest way; of equal ones the first in the graph's order, over edges of the item where it can."""
    came: dict[str, str] = {start: start}
    waiting = deque([start])
    while waiting and goal not in came:
        node = waiting.popleft()
        for other in neighbours[node]:
            if other not in came:
                came[other] = node
                waiting.append(other)
    if goal not in came:
        return None
    nodes = [goal]
    while nodes[-1] != start:
        nodes.append(came[nodes[-1]])
    nodes.reverse()
    hops = (neighbours[one][other] for one, other in itertools.pairwise(nodes))
    return tuple(next((edge for edge in edges if edge.item == item), edges[0]) for edges in hops)


def _way_with_early_read(neighbours: Neighbours, start: str, goal: str) -> Cycle | None:
    """The shortest way that holds an rw edge; it may meet itself."""
    begin = (start, False)
    came: dict[tuple[str, bool], tuple[tuple[str, bool], Edge]] = {}
    waiting = deque([begin])
    while waiting:
        state = waiting.popleft()
        if state == (goal, True):
            break
        for other, edges in neighbours[state[0]].items():
            for edge in edges:
                following = (other, state[1] or edge.kind is EdgeKind.RW)
                if following != begin and following not in came:
                    came[following] = (state, edge)
                    waiting.append(following)
    if (goal, True) not in came:
        return None
    way, state = [], (goal, True)
    while state != begin:
        state, edge = came[state]
        way.append(edge)
    return tuple(reversed(way))


def _simple(cycle: Sequence[Edge]) -> bool:
    return len({edge.source for edge in cycle}) == len(cycle)


def _all(others: dict[str, list[Edge]]) -> Iterator[Edge]:
    return itertools.chain.from_iterable(others.values())
