"""Finds cycles with two rw edges or more of which no two follow each other, around the cycle.

Where each transaction has one snapshot there is none (Fekete et al. 2005): what comes before a transaction by a ww or
wr edge was committed before its snapshot, and that before the commit of whoever it reads too early; so commits would be
later and later all around. Such a walk through the graph is one through pairs of a node and whether it was reached by
an rw edge. Those that lie in one strongly connected component of these pairs are on some closed walk, which may meet
itself. Cut where it does, one of the two parts again has no two rw edges in a row; so what is left in the end is a
cycle of this kind, or one with at most one rw edge, which the other searches find.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from lab.checkers.isolation.anomalies import are_apart
from lab.checkers.isolation.graph import Edge, EdgeKind
from lab.checkers.isolation.multigraph import Multigraph, components

__all__ = ["reads_apart"]

Neighbours = dict[str, dict[str, list[Edge]]]
Place = tuple[str, bool]
"""A node, and whether it was reached by an rw edge."""
Walks = Multigraph[Place, Edge]

MOST_STARTS = 50
"""Rw edges from which a walk is looked for."""


def reads_apart(neighbours: Neighbours) -> Iterator[tuple[Edge, ...]]:
    """For each rw edge that is on such a walk, the shortest; it begins with an rw edge."""
    walks = Walks()
    for others in neighbours.values():
        for between in others.values():
            for kind in dict.fromkeys(edge.kind is EdgeKind.RW for edge in between):
                edge = next(each for each in between if (each.kind is EdgeKind.RW) == kind)
                for reached in (False,) if kind else (False, True):
                    walks.add((edge.source, reached), (edge.target, kind), edge)
    component = {place: number for number, each in enumerate(components(walks.after)) for place in each}
    starts = [
        edge for one, other, edge in walks.edges() if edge.kind is EdgeKind.RW and component[one] == component[other]
    ]
    for first in starts[:MOST_STARTS]:
        cycle = _cut((first, *_way_back(walks, first)))
        early = [number for number, edge in enumerate(cycle) if edge.kind is EdgeKind.RW]
        if len(early) > 1:
            yield cycle[early[0] :] + cycle[: early[0]]


def _way_back(walks: Walks, first: Edge) -> tuple[Edge, ...]:
    """The shortest way from the end of an rw edge to its beginning that holds another one; empty if there is none."""
    begin, goal = ((first.target, True), False), ((first.source, False), True)
    came: dict[tuple[Place, bool], tuple[tuple[Place, bool], Edge]] = {}
    waiting = deque([begin])
    while waiting and goal not in came:
        state = waiting.popleft()
        place, again = state
        for other, edge in ((other, edge) for other, between in walks.after[place].items() for edge in between):
            following = (other, again or edge.kind is EdgeKind.RW)
            if following != begin and following not in came:
                came[following] = (state, edge)
                waiting.append(following)
    if goal not in came:
        return ()
    way, state = [], goal
    while state != begin:
        state, edge = came[state]
        way.append(edge)
    return tuple(reversed(way))


def _cut(walk: tuple[Edge, ...]) -> tuple[Edge, ...]:
    """A part of a closed walk that meets no node twice, and in which no two rw edges follow each other."""
    twice = _met_twice(walk)
    while twice is not None:
        start, end = twice
        parts = [part for part in (walk[start:end], walk[:start] + walk[end:]) if are_apart(part)]
        walk = max(parts, key=lambda part: sum(edge.kind is EdgeKind.RW for edge in part))
        twice = _met_twice(walk)
    return walk


def _met_twice(walk: Sequence[Edge]) -> tuple[int, int] | None:
    """The places at which a walk is at one node, None where there is no such node."""
    seen: dict[str, int] = {}
    for number, edge in enumerate(walk):
        if edge.source in seen:
            return seen[edge.source], number
        seen[edge.source] = number
    return None
