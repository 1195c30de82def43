"""The direct serialization graph: an edge from A to B says that A comes before B in every equal serial order.

Atul Adya, "Weak Consistency", MIT 1999, sections 3.1 and 4.2. Nodes are the committed transactions.

- ww: B wrote the version of an item that follows A's.
- wr: B read the version that A wrote. With a predicate: A's version was the last, up to the one that B's read looked
  at, by which the item came to match the predicate or ceased to.
- rw: A read a version and B wrote the one that follows. With a predicate: B's version was the first, after the one
  that A's read looked at, by which the item came to match or ceased to.

Deviations: where the order of an item's versions is known in part only, B's version follows A's if some chain says so;
every true order then holds a path where this graph has an edge, with as many rw edges. Where a predicate read does not
say which version of an item it looked at, an edge is made only if it stands for every version it may have been.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import NamedTuple

from lab.checkers.isolation.multigraph import Multigraph
from lab.checkers.isolation.version_index import Versions
from lab.model.history import INITIAL, History, PredicateRead, Read, Transaction, Version, Write

__all__ = ["Edge", "EdgeKind", "Graph", "graph_of"]


class EdgeKind(StrEnum):
    """What two transactions did to one item, in the order of the edge: w for writing it, r for reading it."""

    WW = "ww"
    WR = "wr"
    RW = "rw"


class Edge(NamedTuple):
    """`source` comes before `target`, and why. A tuple, since it is made in a fifth of a dataclass's time.

    `source_step` and `target_step` are the statements that did it. `value` is the text of the older of the two
    versions, or of the one version of a wr edge; `absent` says that there was no row. `dead` says that the write which
    the edge is about was a delete. For an edge by a predicate, `matches` says whether that write made the item match,
    and `answer` that the predicate is a query whose answer the write changes.
    """

    kind: EdgeKind
    source: str
    target: str
    item: str
    source_step: int = 0
    target_step: int = 0
    value: str = ""
    absent: bool = False
    dead: bool = False
    predicate: str = ""
    matches: bool = False
    answer: bool = False


Graph = Multigraph[str, Edge]
"""Its nodes are the ids of transactions."""


def graph_of(history: History, versions: Versions) -> Graph:
    """The graph. Nodes and edges come in the history's order."""
    committed = history.committed
    graph = Graph(each.id for each in committed)
    for edge in _edges(history, committed, versions):
        graph.add(edge.source, edge.target, edge)
    return graph


def _edges(history: History, committed: tuple[Transaction, ...], versions: Versions) -> Iterator[Edge]:
    yield from _overwrites(versions)
    flips: dict[str, list[_Range]] = {}
    for transaction in committed:
        for operation in transaction.operations:
            if isinstance(operation, Read):
                yield from _of_read(transaction.id, operation, versions)
            elif isinstance(operation, PredicateRead):
                predicate = operation.predicate
                if predicate not in flips:
                    flips[predicate] = list(_ranges(history, predicate, versions))
                yield from _of_predicate_read(transaction, operation, flips[predicate], versions)


def _overwrites(versions: Versions) -> Iterator[Edge]:
    for item, chains in versions.chains.items():
        for chain in chains:
            for older, newer in pairwise(chain):
                before, after = versions.writes[item, older], versions.writes[item, newer]
                yield Edge(
                    EdgeKind.WW,
                    older.writer,
                    newer.writer,
                    item,
                    before.step,
                    after.step,
                    before.text,
                    absent=before.dead,
                    dead=after.dead,
                )


def _of_read(reader: str, read: Read, versions: Versions) -> Iterator[Edge]:
    item, version = read.item, read.version
    if version.writer == reader:
        return  # what replaced its own version has a ww edge
    if version != INITIAL and not versions.hidden(item, version):
        write = versions.writes[item, version]
        yield Edge(
            EdgeKind.WR,
            version.writer,
            reader,
            item,
            write.step,
            read.step,
            read.text or write.text,
            absent=write.dead,
            dead=write.dead,
        )
    for newer in versions.next(item, version):
        if newer.writer != reader:
            write = versions.writes[item, newer]
            yield Edge(
                EdgeKind.RW,
                reader,
                newer.writer,
                item,
                read.step,
                write.step,
                read.text,
                absent=read.absent,
                dead=write.dead,
            )


class _Range:
    """One item that a predicate may match. A flip is a version by which the item came to match or ceased to.

    For each place in the order, `came` is the place of the last flip up to it and `went` of the first one after it; 0,
    the initial version, stands for none.
    """

    def __init__(self, item: str, order: list[Version], matches: list[bool]) -> None:
        self.item = item
        self.order = order
        self.matches = matches
        self._place = {version: place for place, version in enumerate(order)}
        unmatched = [place for place, matching in enumerate(matches) if not matching]
        self._unnamed = (unmatched[0], unmatched[-1]) if unmatched else None
        flips = [place > 0 and matches[place] != matches[place - 1] for place in range(len(order))]
        self.came = list(accumulate((place if flip else 0 for place, flip in enumerate(flips)), max))
        self.went = [0] * len(order)
        for place in range(len(order) - 1, 0, -1):
            self.went[place - 1] = place if flips[place] else self.went[place]

    def looked_at(self, seen: Version | None) -> tuple[int, int] | None:
        """The places of the first and the last version that a read may have looked at; None if that is not known."""
        if seen is None:
            return self._unnamed
        place = self._place.get(seen)
        return None if place is None else (place, place)


def _ranges(history: History, predicate: str, versions: Versions) -> Iterator[_Range]:
    matching = history.predicates.get(predicate, frozenset())
    for item in sorted({item for item, _ in matching}):
        chains = versions.chains.get(item, [])
        if chains and versions.ordered(item):
            order = [INITIAL, *max(chains, key=len)]
            yield _Range(item, order, [(item, version) in matching for version in order])


def _of_predicate_read(
    reader: Transaction, read: PredicateRead, ranges: list[_Range], versions: Versions
) -> Iterator[Edge]:
    seen = dict(read.seen)
    own = _written_before(reader, read) if ranges else set()
    for each in ranges:
        if each.item in own:
            continue  # it looked at its own version, which shows nothing about others
        places = each.looked_at(seen.get(each.item))
        if places is None:
            continue
        came, went = each.came[places[0]], each.went[places[1]]
        if came and each.order[came].writer == reader.id:
            came = places[0]  # it looked at what followed a version that it was yet to write
        if came and each.order[came].writer != reader.id:
            yield _by_predicate(EdgeKind.WR, reader.id, read, each, came, versions)
        if went and each.order[went].writer != reader.id:
            yield _by_predicate(EdgeKind.RW, reader.id, read, each, went, versions)


def _by_predicate(
    kind: EdgeKind, reader: str, read: PredicateRead, ranged: _Range, place: int, versions: Versions
) -> Edge:
    version = ranged.order[place]
    write = versions.writes[ranged.item, version]
    ends = (version.writer, reader, ranged.item, write.step, read.step)
    if kind is EdgeKind.RW:
        ends = (reader, version.writer, ranged.item, read.step, write.step)
    matches, asked = ranged.matches[place], read.predicate
    return Edge(kind, *ends, write.text, dead=write.dead, predicate=asked, answer=read.answer, matches=matches)


def _written_before(transaction: Transaction, read: PredicateRead) -> set[str]:
    """The items of which the transaction saw its own version: written by it before, and not undone by then."""
    written: set[str] = set()
    for operation in transaction.operations:
        if operation is read:
            break
        if isinstance(operation, Write) and (operation.undone is None or operation.undone > read.step):
            written.add(operation.item)
    return written
