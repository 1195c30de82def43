"""Names for what went wrong, which level prevents what, and the judgement on a history.

The names are those of Atul Adya ("Weak Consistency", MIT 1999, chapters 3 and 4: G0, G1a, G1b, G1c, G-single, G2-item,
G2), of Berenson et al. ("A Critique of ANSI SQL Isolation Levels", SIGMOD 1995: P4) and of Bailis et al. ("Highly
Available Transactions", VLDB 2014: OTV, PMP). "Internal" and the search for one cycle of each name follow Elle
(Kingsbury and Alvaro, VLDB 2020). "Long fork" is the name of Sovran et al. ("Transactional storage for geo-replicated
systems", SOSP 2011) for what one snapshot for each transaction prevents beside read skew: two readers see two writes in
opposite orders.

Deviations. OTV is recognised by the order of statements: a transaction read what somebody wrote, and a later statement
of it did not see what that one, or one before it, had written; a chain of several transactions counts. PMP is a cycle
whose one rw edge only a predicate gives; if an item gives it too, it is G-single or P4. A cycle is named by the most
specific name that fits its transactions. Every cycle of several rw edges of which no two follow each other is called a
long fork, since snapshot isolation prevents them all (Fekete et al., "Making Snapshot Isolation Serializable", 2005).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from lab.checkers.isolation.graph import Edge, EdgeKind
from lab.model.history import Operation, Transaction, Version

__all__ = [
    "MEANING",
    "ONE_SNAPSHOT_PREVENTS",
    "Anomaly",
    "AnomalyName",
    "Judgement",
    "Observation",
    "are_apart",
    "name_of",
    "promised",
    "strongest_first",
    "vanishes",
]


class AnomalyName(StrEnum):
    """Adya's names, those that the weakest level prevents first; of equal ones the more specific first."""

    INTERNAL = "internal"
    ORDER = "incompatible order"
    G0 = "G0"
    G1A = "G1a"
    G1B = "G1b"
    G1C = "G1c"
    OTV = "OTV"
    PMP = "PMP"
    P4 = "P4"
    G_SINGLE = "G-single"
    LONG_FORK = "long fork"
    G2_ITEM = "G2-item"
    G2 = "G2"


MEANING: Mapping[AnomalyName, str] = {
    AnomalyName.INTERNAL: "internal inconsistency",
    AnomalyName.ORDER: "reads that no order of the writes explains",
    AnomalyName.G0: "dirty write",
    AnomalyName.G1A: "aborted read",
    AnomalyName.G1B: "intermediate read",
    AnomalyName.G1C: "circular information flow",
    AnomalyName.OTV: "observed transaction vanishes",
    AnomalyName.PMP: "predicate-many-preceders",
    AnomalyName.P4: "lost update",
    AnomalyName.G_SINGLE: "read skew",
    AnomalyName.LONG_FORK: "long fork",
    AnomalyName.G2_ITEM: "write skew",
    AnomalyName.G2: "write skew by a predicate",
}

_SNAPSHOT = frozenset({"REPEATABLE READ", "SERIALIZABLE"})
ONE_SNAPSHOT_PREVENTS = frozenset({AnomalyName.PMP, AnomalyName.P4, AnomalyName.G_SINGLE, AnomalyName.LONG_FORK})
"""What cannot be where each transaction that read too early had one snapshot."""
_SERIALIZABLE_PREVENTS = frozenset({AnomalyName.G2_ITEM, AnomalyName.G2})
_LEFT_TO_SOME = ONE_SNAPSHOT_PREVENTS | _SERIALIZABLE_PREVENTS
"""What only some levels prevent."""


def promised(name: AnomalyName, levels: Sequence[str], early: Sequence[str]) -> bool:
    """Whether PostgreSQL prevents the anomaly: the table "PostgreSQL and the anomalies" of docs/architecture.md.

    `levels` are those of the transactions on the cycle, `early` of those whose read came too early. With mixed levels a
    snapshot protects the one that holds it, and serializability needs that all on the cycle ask for it.
    """
    if name in _SERIALIZABLE_PREVENTS:
        return all(level == "SERIALIZABLE" for level in levels)
    if name in ONE_SNAPSHOT_PREVENTS:
        return all(level in _SNAPSHOT for level in early)
    return True


def name_of(cycle: Sequence[Edge]) -> AnomalyName:
    """The name of a cycle. One that has rw edges begins with one of them."""
    early = [edge for edge in cycle if edge.kind is EdgeKind.RW]
    if not early:
        written = all(edge.kind is EdgeKind.WW for edge in cycle)
        return AnomalyName.G0 if written else AnomalyName.G1C
    if len(early) > 1:
        return _of_early_reads(cycle, early)
    first, last = cycle[0], cycle[-1]
    if last.kind is EdgeKind.WR:
        if vanishes(first, last):
            return AnomalyName.OTV
        return AnomalyName.PMP if first.predicate else AnomalyName.G_SINGLE
    return AnomalyName.P4 if _one_item(cycle) else AnomalyName.G_SINGLE


def _of_early_reads(cycle: Sequence[Edge], early: Sequence[Edge]) -> AnomalyName:
    """The name of a cycle with several rw edges."""
    if len(early) == len(cycle) == 2 and _one_item(cycle):  # noqa: PLR2004 - two transactions
        return AnomalyName.P4  # whichever wrote first, the other had read what was there before
    if are_apart(cycle):
        return AnomalyName.LONG_FORK
    return AnomalyName.G2 if any(edge.predicate for edge in early) else AnomalyName.G2_ITEM


def are_apart(cycle: Sequence[Edge]) -> bool:
    """Whether no two rw edges follow each other."""
    around = pairwise((*cycle, cycle[0]))
    return not any(one.kind is EdgeKind.RW and other.kind is EdgeKind.RW for one, other in around)


def _one_item(cycle: Sequence[Edge]) -> bool:
    return len({edge.item for edge in cycle}) == 1 and not any(edge.predicate for edge in cycle)


def verdict_on(cycle: Sequence[Edge], transactions: Mapping[str, Transaction]) -> tuple[AnomalyName, bool]:
    """The name of a cycle, and whether the levels of its transactions promised to prevent it."""
    name = name_of(cycle)
    if name not in _LEFT_TO_SOME:
        return name, True
    levels = [transactions[edge.source].level for edge in cycle]
    early = [level for edge, level in zip(cycle, levels, strict=True) if edge.kind is EdgeKind.RW]
    return name, promised(name, levels, early)


def vanishes(first: Edge, last: Edge) -> bool:
    """Whether a transaction missed by `first`, an rw edge, what it had begun to see by an earlier one, `last`."""
    return last.kind is EdgeKind.WR and last.target_step < first.source_step


@dataclass(frozen=True, slots=True)
class Observation:
    """A read that is wrong by itself: who read which version of what, and what it should have been, in words."""

    reader: str
    item: str
    version: Version
    step: int
    text: str
    operation: Operation
    expected: str


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A named finding: a cycle of the graph, or a single read.

    `cycle` begins with its rw edge if it has one, and each edge begins where the one before ended. `levels` are those
    of the transactions concerned, in the cycle's order. `promised` keeps the two verdicts apart: the level promised to
    prevent this, so it is a finding about the database; or the level allows it, and it matters if an invariant breaks.
    """

    name: AnomalyName
    promised: bool
    transactions: tuple[str, ...]
    levels: tuple[str, ...]
    cycle: tuple[Edge, ...] = ()
    observation: Observation | None = None

    @classmethod
    def of_cycle(cls, cycle: Sequence[Edge], transactions: Mapping[str, Transaction]) -> Anomaly:
        """The anomaly that a cycle is."""
        name, promise = verdict_on(cycle, transactions)
        names = tuple(edge.source for edge in cycle)
        return cls(name, promise, names, tuple(transactions[each].level for each in names), tuple(cycle))

    @classmethod
    def of_read(cls, name: AnomalyName, observation: Observation, reader: Transaction) -> Anomaly:
        """The anomaly that a single read is; every level at which it is reported promises to prevent it."""
        writer = observation.version.writer
        names = (reader.id,) if writer in {"", reader.id} else (reader.id, writer)
        return cls(name, True, names, (reader.level,), observation=observation)  # noqa: FBT003 - named by the field

    @property
    def rank(self) -> tuple[int, bool, int]:
        """Order in a report: what the weakest level prevents first, of one name what was promised, then the shorter."""
        return list(AnomalyName).index(self.name), not self.promised, len(self.cycle)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the checker says of a history: at most one anomaly of each name and kind of verdict, strongest first."""

    anomalies: tuple[Anomaly, ...]
    committed: int
    edges: int

    @property
    def serializable(self) -> bool:
        """Whether some serial order of the committed transactions has the same reads and versions."""
        return not self.anomalies

    @property
    def broken_promises(self) -> tuple[Anomaly, ...]:
        """What the level promised to prevent: findings about the database."""
        return tuple(each for each in self.anomalies if each.promised)

    @property
    def allowed(self) -> tuple[Anomaly, ...]:
        """What the level allows: findings about the code, if an invariant breaks by them."""
        return tuple(each for each in self.anomalies if not each.promised)


def strongest_first(anomalies: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    """In the order of a report, as found where that leaves it open."""
    return tuple(sorted(anomalies, key=lambda each: each.rank))
