"""The facts of a failing execution from which remedies are chosen.

Read from its statements and from what their footprints say: who reads what another writes, who locks which rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lab.model.footprint import Access, Lock, Rows
from lab.model.record import ExecutionRecord
from lab.model.trace import ActionKind, Result, Step
from lab.scenario.databases import metadata_of
from lab.scenario.declare import actors_of

__all__ = ["DEADLOCK", "FOLDS", "FOREIGN", "UNIQUE", "Facts", "Touch"]

DEADLOCK = "40P01"
UNIQUE, FOREIGN = "23505", "23503"
"""The SQLSTATEs of a row that is there already, and of a parent row that is not."""
FOLDS = re.compile(
    r"\s*SELECT\s+(?:DISTINCT\b|EXISTS\b|(?:coalesce\s*\(\s*)?"
    r"(?:count|sum|min|max|avg|bool_and|bool_or|every|array_agg|string_agg|json_agg|jsonb_agg)\s*\()"
    r"|.*\b(?:GROUP\s+BY|HAVING|UNION|INTERSECT|EXCEPT)\b",
    re.IGNORECASE | re.DOTALL,
)
"""A SELECT that FOR UPDATE may not stand behind: an aggregate, DISTINCT, EXISTS, a group, a union."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One thing that a statement of an actor does to rows."""

    actor: str
    verb: str
    text: str
    access: Access
    part: int = 0
    """In which of the actor's transactions, counted from 0."""
    nothing: bool = False
    """Whether it is a SELECT that showed no row, or only that there is none."""

    @property
    def table(self) -> str:
        """The table of the rows."""
        return self.access.rows.table

    @property
    def is_plain_read(self) -> bool:
        """Whether it reads and locks nothing."""
        return self.verb == "SELECT" and not self.access.lock

    @property
    def folds(self) -> bool:
        """Whether it is a SELECT that shows no rows as they are, which PostgreSQL does not lock."""
        return self.verb == "SELECT" and bool(FOLDS.match(self.text))

    @property
    def locks_what_is_there(self) -> bool:
        """Whether it locks rows that could be locked before: no new ones, nor those that a foreign key looks for."""
        if self.verb == "INSERT" and self.access.writes:
            return False
        return self.access.lock > Lock.KEY_SHARE or bool(self.access.lock and self.access.rows.key)


@dataclass
class Facts:
    """What a failing execution shows. `isolation` is the level that it was run at, None for the actors' own.

    `anomaly` is the name of what was found in its history, None where that is not known.
    """

    record: ExecutionRecord
    isolation: str | None = None
    anomaly: str | None = None
    texts: list[str] = field(default_factory=list, init=False)
    """The statements, as the code sent them, in order."""
    touches: list[Touch] = field(default_factory=list, init=False)
    committed: set[tuple[str, int]] = field(default_factory=set, init=False)
    """The transactions that ended with a COMMIT: the actor, and which of its transactions."""
    obscure: list[str] = field(default_factory=list, init=False)
    """Statements of which only the text is known."""

    def __post_init__(self) -> None:
        answers, parts = _answers(self.record.trace), Counter[str]()
        for step in self.record.trace:
            if step.action.kind in (ActionKind.COMMIT, ActionKind.ROLLBACK):
                if step.action.kind is ActionKind.COMMIT:
                    self.committed.add((step.actor, parts[step.actor]))
                parts[step.actor] += 1
            if step.action.kind is not ActionKind.STATEMENT or step.woken:
                continue
            text, touches = step.action.text, step.action.touches
            accesses = touches.own if touches is not None else None
            self.texts.append(text)
            if accesses is None:
                self.obscure.append(text)
            else:
                verb = text.split(maxsplit=1)[0].upper()
                found = (access for access in accesses if "!" not in access.rows.table)
                nothing = verb == "SELECT" and step.number in answers and answers[step.number].shows_nothing
                self.touches += [Touch(step.actor, verb, text, each, parts[step.actor], nothing) for each in found]

    @property
    def deadlocked(self) -> bool:
        """Whether somebody was refused to break a deadlock."""
        return DEADLOCK in self.record.aborts

    @cached_property
    def writers(self) -> frozenset[str]:
        """The actors that write."""
        return frozenset(each.actor for each in self.touches if each.access.writes)

    @cached_property
    def lock_reads(self) -> frozenset[str]:
        """The tables that plain SELECTs read and anybody writes."""
        written = {each.table for each in self.touches if each.access.writes}
        return frozenset(each.table for each in self.touches if each.is_plain_read and each.table in written)

    @cached_property
    def rows_to_lock(self) -> dict[str, dict[str, list[Rows]]] | None:
        """Actor -> table -> all rows that it locks, or reads in order to write; None where they are not known."""
        rows: dict[str, dict[str, list[Rows]]] = {}
        for each in self.touches:
            if each.locks_what_is_there or (each.is_plain_read and each.table in self.lock_reads):
                rows.setdefault(each.actor, {}).setdefault(each.table, []).append(each.access.rows)
        tables = {table for by_table in rows.values() for table in by_table}
        return None if self.obscure or not tables or not all(map(self._has_a_key, tables)) else rows

    def _has_a_key(self, table: str) -> bool:
        known = self.table(table)
        return known is not None and bool(known.primary_key.columns)

    def table(self, name: str) -> Any:
        """A table of the scenario's metadata by the name that footprints use; None where it is not known there."""
        schema, _, plain = name.rpartition(".")
        metadata = metadata_of(type(self.record.scenario))
        places = ((metadata.get(schema), plain), *((each, name) for each in metadata.values()))
        return next((each.tables[key] for each, key in places if each is not None and key in each.tables), None)

    @property
    def errors(self) -> set[str]:
        """The SQLSTATEs with which actors ended whose work was not refused for a retry."""
        results = self.record.outcome.results.values()
        return {each.sqlstate for each in results if each.sqlstate and not each.aborted}

    @property
    def levels(self) -> set[str]:
        """The levels at which the actors were run."""
        scenario = self.record.scenario
        return {self.isolation or each.isolation or scenario.isolation for each in actors_of(type(scenario))}


def _answers(steps: Iterable[Step]) -> dict[int, Result]:
    """What was answered to each statement, by the number of the step that sent it."""
    waiting: dict[str, int] = {}
    answers = {}
    for step in steps:
        if step.action.kind is ActionKind.STATEMENT:
            number = waiting.pop(step.actor, step.number) if step.woken else step.number
            if step.wait is not None:
                waiting[step.actor] = number
            if step.result is not None:
                answers[number] = step.result
    return answers
