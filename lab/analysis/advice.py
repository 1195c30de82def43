"""Which remedies fit a failing execution: those that the lab can run, and advice that it cannot.

Read from the statements of the failing execution and from what their footprints say: who reads what another writes, who
looks before he inserts, which rows are locked. That a remedy fits says nothing about whether it helps; running it does.
The suggestions are those of the PostgreSQL documentation, chapter 13, and of every reviewer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from lab.model.footprint import Access, Lock, Rows
from lab.model.record import ExecutionRecord
from lab.model.remedy import Remedy, Tried
from lab.model.trace import ActionKind
from lab.scenario.declare import ISOLATION_LEVELS, actors_of

__all__ = ["ATTEMPTS", "DEADLOCK", "Facts"]

ATTEMPTS = 10
"""Of a retry loop. Two actors that refuse each other need two; more are for rings."""
DEADLOCK = "40P01"

_ATOMIC = "an atomic UPDATE … SET x = x + …"
_CODE = "needs a change of the code"
_TABLES = "needs a change of the tables"
_RELATIVE = re.compile(r"\bSET\b.*?\b(\w+)\s*=\s*\([^=]*\b\1\b", re.IGNORECASE | re.DOTALL)
_ADVISORY = re.compile(r"\bpg_advisory_", re.IGNORECASE)
_READS = re.compile(r"\s*SELECT\b.*\bFROM\b", re.IGNORECASE | re.DOTALL)
_LOCKS = re.compile(r"\bFOR\s+(?:UPDATE|NO\s+KEY|SHARE|KEY\s+SHARE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Touch:
    """One thing that a statement of an actor does to rows."""

    actor: str
    verb: str
    text: str
    access: Access

    @property
    def table(self) -> str:
        return self.access.rows.table

    @property
    def is_plain_read(self) -> bool:
        return self.verb == "SELECT" and not self.access.lock

    @property
    def locks_what_is_there(self) -> bool:
        """Whether it locks rows that could be locked before: no new ones, nor those that a foreign key looks for."""
        if self.verb == "INSERT" and self.access.writes:
            return False
        return self.access.lock > Lock.KEY_SHARE or bool(self.access.lock and self.access.rows.key)


@dataclass
class Facts:
    """What a failing execution tells. `isolation` is the level that it was run at, None for the actors' own.

    `anomaly` is the name of what was found in its history, None where that is not known.
    """

    record: ExecutionRecord
    isolation: str | None = None
    anomaly: str | None = None
    _texts: list[str] = field(default_factory=list, init=False)
    _touches: list[_Touch] = field(default_factory=list, init=False)
    _obscure: list[str] = field(default_factory=list, init=False)
    """Texts of which nothing is known but themselves."""

    def __post_init__(self) -> None:
        for step in self.record.trace:
            if step.action.kind is not ActionKind.STATEMENT or step.woken:
                continue
            text, touches = step.action.text, step.action.touches
            accesses = touches.own if touches is not None else None
            self._texts.append(text)
            if accesses is None:
                self._obscure.append(text)
            else:
                verb = text.split(maxsplit=1)[0].upper()
                found = (access for access in accesses if "!" not in access.rows.table)
                self._touches += [_Touch(step.actor, verb, text, access) for access in found]

    # ------------------------------------------------------------------ what can be run

    @property
    def deadlocked(self) -> bool:
        """Whether somebody was refused to break a deadlock."""
        return DEADLOCK in self.record.aborts

    @cached_property
    def lock_reads(self) -> frozenset[str]:
        """The tables that plain SELECTs read and anybody writes."""
        written = {each.table for each in self._touches if each.access.writes}
        return frozenset(each.table for each in self._touches if each.is_plain_read and each.table in written)

    def candidates(self) -> Iterator[Remedy]:
        """The remedies to run, the narrowest first; `lock_order` is for where somebody is refused by a deadlock."""
        order = self.lock_order()
        if self.deadlocked and order is not None:
            yield order
        if self.lock_reads:
            yield Remedy(f"SELECT … FOR UPDATE on {_listed(self.lock_reads)}", lock_reads=self.lock_reads)
        yield Remedy("a retry loop alone", attempts=ATTEMPTS)
        higher = ISOLATION_LEVELS[1 + min(map(ISOLATION_LEVELS.index, self._levels())) :]
        for level in higher:
            yield Remedy(f"{level} with a retry loop", isolation=level, attempts=ATTEMPTS)
        if self.deadlocked and higher:
            yield Remedy(f"{higher[-1]} without a retry loop", isolation=higher[-1])

    def lock_order(self) -> Remedy | None:
        """All rows that an actor locks or reads in order to write, locked first; None where they are not known."""
        rows: dict[str, dict[str, list[Rows]]] = {}
        for each in self._touches:
            if each.locks_what_is_there or (each.is_plain_read and each.table in self.lock_reads):
                rows.setdefault(each.actor, {}).setdefault(each.table, []).append(each.access.rows)
        tables = {table for by_table in rows.values() for table in by_table}
        if self._obscure or not tables or not all(map(self._has_a_key, tables)):
            return None
        first = tuple((actor, tuple(_merged(each) for each in found.values())) for actor, found in rows.items())
        return Remedy(f"rows of {_listed(tables)} locked first, by key", lock_first=first)

    def _has_a_key(self, table: str) -> bool:
        metadata = self.record.scenario.metadata
        known = None if metadata is None else metadata.tables.get(table)
        return known is not None and bool(known.primary_key.columns)

    def _levels(self) -> set[str]:
        scenario = self.record.scenario
        return {self.isolation or each.isolation or scenario.isolation for each in actors_of(type(scenario))}

    # ------------------------------------------------------------------ what cannot

    def advice(self) -> Iterator[Tried]:
        """What fits too and is not run, with the reason."""
        if self.anomaly in (None, "P4") and (lost := _listed(self._overwritten())):
            yield Tried(f"a version check on {lost} (version_id_col)", reason=_CODE)
            yield Tried(f"{_ATOMIC} on {lost}", reason=_CODE)
        if self.anomaly in (None, "PMP", "G2-item", "G2") and (looked := _listed(self._looked_then_inserted())):
            yield Tried(f"a unique key or an exclusion constraint on {looked}", reason=_TABLES)
        if self.anomaly in (None, "PMP", "G-single") and (readers := _listed(self._read_piecemeal())):
            yield Tried(f"all reads of {readers} in one statement", reason=_CODE)
        if split := _listed(self._split()):
            yield Tried(f"one transaction for all writes of {split}", reason=_CODE)
        if any(map(_ADVISORY.search, self._texts)):
            yield Tried("advisory locks taken in the order of their keys", reason=_CODE)
        elif self.deadlocked and self.lock_order() is None:
            yield Tried("all rows locked in one order", reason="the lab cannot tell which rows the statements lock")
        if any(_READS.match(text) and not _LOCKS.search(text) for text in self._obscure):
            yield Tried("FOR UPDATE in SELECTs that are written as text", reason=_CODE)

    def _overwritten(self) -> set[str]:
        """Tables of which two actors write one row, at least one of them after he read it and by a value of his own."""
        found = set()
        for at, read in enumerate(self._touches):
            if not read.is_plain_read:
                continue
            for write in self._touches[at:]:
                mine = write.actor == read.actor and write.verb == "UPDATE" and write.access.writes
                if mine and read.access.rows.meet(write.access.rows) and not _RELATIVE.search(write.text):
                    found |= {read.table for other in self._touches if _writes_what(other, write)}
        return found

    def _looked_then_inserted(self) -> set[str]:
        looked = set()
        found = set()
        for each in self._touches:
            if each.verb == "SELECT":
                looked.add((each.actor, each.table))
            elif each.verb == "INSERT" and each.access.writes and (each.actor, each.table) in looked:
                found.add(each.table)
        return found

    def _read_piecemeal(self) -> set[str]:
        """Actors that write nothing and read what others write in more than one statement."""
        writers = {each.actor for each in self._touches if each.access.writes}
        reads = [each.actor for each in self._touches if each.is_plain_read and each.table in self.lock_reads]
        return {actor for actor in reads if actor not in writers and reads.count(actor) > 1}

    def _split(self) -> set[str]:
        """Actors that write in more than one transaction."""
        ends = [step.actor for step in self.record.trace if step.action.kind is ActionKind.COMMIT and not step.woken]
        writers = {each.actor for each in self._touches if each.access.writes}
        return {actor for actor in writers if ends.count(actor) > 1}


def _writes_what(other: _Touch, write: _Touch) -> bool:
    return other.actor != write.actor and other.access.writes and other.access.rows.meet(write.access.rows)


def _merged(rows: list[Rows]) -> Rows:
    """Rows of one table that hold all of these, and no others where one column tells them."""
    columns = {tuple(column for column, _ in each.key) for each in rows}
    if len(columns) > 1 or len(next(iter(columns))) != 1:
        rows = list(dict.fromkeys(rows))
        return rows[0] if len(rows) == 1 else Rows(rows[0].table)
    ((column,),) = columns
    return Rows(rows[0].table, ((column, frozenset().union(*(values for each in rows for _, values in each.key))),))


def _listed(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))
