"""A directed graph with parallel edges, and its strongly connected components: all that judging one execution needs.

The libraries that have much more take longer to import than such an execution takes to run. Nodes and edges come in the
order in which they were added, and so do the results: nothing depends on the order of a set.

Tarjan, "Depth-first search and linear graph algorithms", SIAM J. Comput. 1, 1972. Deviation: no recursion, since a
history from a file may have a chain of a million transactions.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

__all__ = ["Multigraph", "components"]

Node = TypeVar("Node", bound=Hashable)
Edge = TypeVar("Edge")


class Multigraph(Generic[Node, Edge]):
    """Nodes, and between any two of them a list of edges."""

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.after: dict[Node, dict[Node, list[Edge]]] = {node: {} for node in nodes}
        """Node -> the nodes to which it has edges -> these edges."""

    def add(self, source: Node, target: Node, edge: Edge) -> None:
        """Add an edge, and its nodes where they are new."""
        self.after.setdefault(source, {}).setdefault(target, []).append(edge)
        self.after.setdefault(target, {})

    def edges(self) -> Iterator[tuple[Node, Node, Edge]]:
        """(source, target, edge), by source."""
        for source, others in self.after.items():
            for target, between in others.items():
                for edge in between:
                    yield source, target, edge

    def __iter__(self) -> Iterator[Node]:
        return iter(self.after)

    def __len__(self) -> int:
        return len(self.after)


def components(after: Mapping[Node, Iterable[Node]]) -> Iterator[set[Node]]:
    """The strongly connected components; what one leads to comes before it. `after`: node -> the nodes behind it."""
    number: dict[Node, int] = {}
    lowest: dict[Node, int] = {}
    done: set[Node] = set()
    open_nodes: list[Node] = []
    for start in after:
        if start in number:
            continue
        way = [(start, iter(after[start]))]
        number[start] = lowest[start] = len(number)
        open_nodes.append(start)
        while way:
            node, others = way[-1]
            following = next((each for each in others if each not in done and _lower(node, each, number, lowest)), None)
            if following is not None:
                number[following] = lowest[following] = len(number)
                open_nodes.append(following)
                way.append((following, iter(after[following])))
                continue
            way.pop()
            if way:
                lowest[way[-1][0]] = min(lowest[way[-1][0]], lowest[node])
            if lowest[node] == number[node]:
                place = len(open_nodes) - 1
                while open_nodes[place] != node:
                    place -= 1
                found = set(open_nodes[place:])
                del open_nodes[place:]
                done |= found
                yield found


def _lower(node: Node, other: Node, number: Mapping[Node, int], lowest: dict[Node, int]) -> bool:
    """Whether the other node is new; if it is not, the first one leads back to it."""
    if other not in number:
        return True
    lowest[node] = min(lowest[node], number[other])
    return False
