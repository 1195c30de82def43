"""A failing execution as the rules look at it: who sent which statement in which transaction, and what it met.

Made from the trace and the recorded history. Of text SQL the history has the rows that were written; which row it read
is known where one table is asked for its primary key, or the answer holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lab.checkers.causes.grammar import literals, plain, tables_of, verb_of, where, written_table
from lab.checkers.isolation.anomalies import Anomaly
from lab.checkers.isolation.judge import judge
from lab.model.footprint import Access
from lab.model.history import Read, Write
from lab.model.outcome import ABORT_STATES, ResultKind
from lab.model.record import ExecutionRecord
from lab.model.trace import Action, ActionKind, LockWait, Result, Step
from lab.scenario.databases import metadata_of

__all__ = ["Observed", "Sent", "Unit"]

NEVER = 1 << 62
"""The end of a transaction that has none: later than every step."""
ENDS = (ActionKind.COMMIT, ActionKind.ROLLBACK)


@dataclass(eq=False, slots=True)
class Sent:
    """A statement. `number` is the step in which it was sent, `answered` the one in which its answer came."""

    actor: str
    action: Action
    number: int
    answered: int = NEVER
    result: Result | None = None
    waits: list[LockWait] = field(default_factory=list)
    looks: list[tuple[str, bool]] = field(default_factory=list)
    """The rows that it read, each with whether there was none."""
    changes: list[str] = field(default_factory=list)
    """The rows that it wrote."""

    @property
    def text(self) -> str:
        """The SQL on one line."""
        return plain(self.action.text)

    @property
    def verb(self) -> str:
        """The first word of the SQL."""
        return verb_of(self.text)

    @property
    def error(self) -> str:
        """The SQLSTATE with which it was refused, "" if it was not."""
        return self.result.error if self.result is not None else ""

    @property
    def level(self) -> str:
        """The isolation level that it was run at, "" where that is not known."""
        return self.action.touches.level if self.action.touches is not None else ""

    @property
    def accesses(self) -> tuple[Access, ...] | None:
        """What its construct says that it touches; None where that is not understood."""
        return self.action.touches.own if self.action.touches is not None else None

    @property
    def values(self) -> frozenset[str]:
        """The values in it, written down or bound."""
        parameters = self.action.parameters
        flat = [each for row in parameters for each in (row if isinstance(row, tuple) else (row,))]
        several = bool(parameters) and isinstance(parameters[0], tuple)
        return frozenset(map(str, flat)) | literals(self.text, ()) if several else literals(self.text, flat)

    @property
    def found_nothing(self) -> bool:
        """Whether it looked for rows and there were none: no row, a count of 0, an EXISTS that is false."""
        if self.verb != "SELECT" or self.result is None:
            return False
        return self.result.shows_nothing and (not self.result.rows or bool(where(self.text)))

    @property
    def found_no_row(self) -> bool:
        """The same, but for a number: a count of 0 may be one of several that are allowed."""
        return self.found_nothing and self.result is not None and self.result.rows != (("0",),)

    @property
    def is_insert(self) -> bool:
        """Whether it inserted rows: it was not refused, and did not do nothing on a conflict."""
        done = self.result is not None and not self.error
        return self.verb == "INSERT" and done and not (self.result or Result()).tag.endswith(" 0")

    def waited_for(self, actor: str) -> bool:
        """Whether it waited for a lock of that actor."""
        return any(actor in wait.holders for wait in self.waits)


@dataclass(eq=False, slots=True)
class Unit:
    """A transaction of an actor, from the trace: its statements, and the step that ended it."""

    actor: str
    sent: list[Sent] = field(default_factory=list)
    end: int = NEVER
    committed: bool = False

    @property
    def refused(self) -> bool:
        """Whether the server refused one of its statements in a way that a retry may cure."""
        return any(each.error in ABORT_STATES for each in self.sent)

    def changed(self, item: str) -> Sent | None:
        """The statement that first wrote a row."""
        return next((each for each in self.sent if item in each.changes), None)


class Observed:
    """What the rules read. Units stand in the order in which they began."""

    def __init__(self, record: ExecutionRecord) -> None:
        self.record = record
        self.finding = record.findings[0]
        self.units: list[Unit] = []
        self._keys = _keys_of(record)
        self._parents = _parents_of(record)
        self._collect()

    @cached_property
    def anomaly(self) -> Anomaly | None:
        """The anomaly that a report explains the failure by."""
        found = judge(self.record.history).anomalies if self.record.history is not None else ()
        return found[0] if found else None

    @property
    def sent(self) -> Iterator[tuple[Unit, Sent]]:
        """Every statement with its transaction."""
        return ((unit, each) for unit in self.units for each in unit.sent)

    @cached_property
    def of_transaction(self) -> Mapping[str, Unit]:
        """The unit of each transaction of the history."""
        by_step = {each.answered: unit for unit, each in self.sent}
        history = self.record.history
        found = {}
        for each in history.transactions if history is not None else ():
            units = [by_step[one.step] for one in each.operations if one.step in by_step]
            if units:
                found[each.id] = units[0]
        return found

    def answered_in(self, step: int) -> Sent | None:
        """The statement whose answer came in a step; None for what is no statement, such as a FETCH."""
        return next((each for _, each in self.sent if each.answered == step), None)

    def others(self, actor: str) -> list[Unit]:
        """The transactions of other actors that were committed."""
        return [unit for unit in self.units if unit.actor != actor and unit.committed]

    def of(self, actor: str) -> list[tuple[Unit, Sent]]:
        """The statements of an actor, in order."""
        return sorted(((u, s) for u, s in self.sent if u.actor == actor), key=lambda each: each[1].number)

    @property
    def raised(self) -> str:
        """The actor whose unexpected error is reported first, "" for another finding."""
        name = self.finding.name.removesuffix(" ends without an error")
        result = self.record.outcome.results.get(name)
        return name if result is not None and result.kind is ResultKind.RAISED else ""

    def keys_of(self, table: str) -> tuple[str, ...]:
        """The columns of a table's primary key, as the scenario's metadata has it."""
        return self._keys.get(table, ())

    def parents_of(self, table: str) -> frozenset[str]:
        """The tables that the foreign keys of a table refer to."""
        return self._parents.get(table, frozenset())

    def row_of(self, each: Sent) -> str:
        """The one row that the condition of a statement names by its key, "" where it does not."""
        table = written_table(each.text) or next(iter(tables_of(each.text)), "")
        key = self.keys_of(table)
        if len(tables_of(each.text)) > 1 or len(key) != 1:
            return ""
        return next((f"{table} {value}" for value in _equals(where(each.text), key[0], each.action.parameters)), "")

    # ------------------------------------------------------------------ from the trace

    def _collect(self) -> None:
        waiting: dict[str, Sent] = {}
        open_units: dict[tuple[str, int], Unit] = {}
        for step in self.record.trace:
            if step.action.kind is ActionKind.STATEMENT:
                self._statement(step, waiting, open_units)
            elif step.action.kind in ENDS:
                self._end(step, open_units)
        self._read_history()

    def _statement(self, step: Step, waiting: dict[str, Sent], open_units: dict[tuple[str, int], Unit]) -> None:
        sent = waiting.pop(step.actor, None) if step.woken else None
        if sent is None:
            sent = Sent(step.actor, step.action, step.number)
            session = step.action.touches.session if step.action.touches is not None else 0
            unit = open_units.pop((step.actor, session), None)
            if unit is None:
                unit = Unit(step.actor)
                self.units.append(unit)
            open_units[step.actor, session] = unit  # the last one is the one that was used last
            unit.sent.append(sent)
        if step.wait is not None:
            sent.waits.append(step.wait)
            waiting[step.actor] = sent
        if step.result is None:
            return
        sent.answered, sent.result = step.number, step.result
        if sent.level == "AUTOCOMMIT":
            unit = open_units.pop(next(key for key, unit in open_units.items() if sent in unit.sent))
            unit.end, unit.committed = step.number, not sent.error

    def _end(self, step: Step, open_units: dict[tuple[str, int], Unit]) -> None:
        mine = [key for key in open_units if key[0] == step.actor]
        if mine:
            unit = open_units.pop(mine[-1])
            unit.end = step.number
            broken = step.result is not None and step.result.error
            unit.committed = step.action.kind is ActionKind.COMMIT and not broken and not unit.sent[-1].error

    # ------------------------------------------------------------------ from the history

    def _read_history(self) -> None:
        by_step = {each.answered: each for _, each in self.sent}
        history = self.record.history
        for transaction in history.transactions if history is not None else ():
            for one in transaction.operations:
                sent = by_step.get(one.step)
                if sent is None:
                    continue
                if isinstance(one, Read) and sent.verb == "SELECT":
                    sent.looks.append((one.item, one.absent))
                elif isinstance(one, Write) and one.undone is None:
                    sent.changes.append(one.item)
        for _, each in self.sent:
            if each.verb == "SELECT" and not each.looks and each.result is not None:
                each.looks += self._looks_by_text(each, each.result)

    def _looks_by_text(self, each: Sent, result: Result) -> Iterator[tuple[str, bool]]:
        tables = tables_of(each.text)
        if len(tables) != 1 or each.error:
            return
        (table,) = tables
        key = self.keys_of(table)
        if len(key) == 1 and key[0] in result.columns:
            place = result.columns.index(key[0])
            yield from ((f"{table} {row[place].strip(_QUOTE)}", False) for row in result.rows)
        elif (row := self.row_of(each)) and result.rows:
            yield row, False


_QUOTE = "'"


def _keys_of(record: ExecutionRecord) -> dict[str, tuple[str, ...]]:
    keys = {}
    for schema, metadata in metadata_of(type(record.scenario)).items():
        for name, table in metadata.tables.items() if metadata is not None else ():
            keys[f"{schema}.{name}" if schema else name] = tuple(each.name for each in table.primary_key.columns)
    return keys


def _parents_of(record: ExecutionRecord) -> dict[str, frozenset[str]]:
    return {
        name: frozenset(each.target_fullname.rpartition(".")[0] for each in table.foreign_keys)
        for metadata in metadata_of(type(record.scenario)).values()
        for name, table in (metadata.tables.items() if metadata is not None else ())
    }


def _equals(condition: str, column: str, parameters: tuple[object, ...]) -> Iterator[str]:
    """The value that a condition wants a column to have."""
    words = condition.replace("(", " ").replace(")", " ").split()
    for place, word in enumerate(words[:-2]):
        if word.rpartition(".")[2].strip('"') == column and words[place + 1] == "=":
            value = words[place + 2].partition("::")[0]
            number = int(value[1:]) - 1 if value[:1] == "$" and value[1:].isdigit() else None
            if number is None:
                yield value.strip(_QUOTE)
            elif number < len(parameters):
                yield str(parameters[number]).strip(_QUOTE)
