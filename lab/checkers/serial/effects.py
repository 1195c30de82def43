"""The results and final rows of an execution, in a form in which two executions can be compared.

Some values differ between two executions that did the same: ids that a sequence gave, random UUIDs. Such a value is a
name for something; `renaming` compares two executions up to an exchange of names. Here it is only said which values are
names: those in a column that a sequence fills, or that leads to one, as far as this execution drew them; and those that
an actor was shown in such a column. A number elsewhere is never taken for a name by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lab.checkers.serial.composite import fields_of
from lab.model.layout import Column, Drawn, Layout
from lab.model.nature import UNCONTROLLED
from lab.model.outcome import ActorResult, Outcome, ResultKind
from lab.model.trace import ActionKind, Step, Trace

__all__ = ["UUID", "Cell", "Effects", "Row", "effects_of", "parts_of"]

ID = "<id>"
"""Stands for a generated id wherever a row is shown."""
UUID = "uuid"
"""The origin of random UUIDs, which carry no value but to be what they are."""

_NUMBER = re.compile(r"-?\d+")
_PART = re.compile(r"(<uuid \d+>|\d+)")
_UUID = re.compile(r"<uuid \d+>")
_MOMENT = re.compile(r"<now [+-] [^>]+ s>")
_WORD = re.compile(r"\w+")
_COUNT = re.compile(r"(\d+)$")


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a row. `origin` is the column whose sequence drew it in this execution, "" if none did."""

    text: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A final row. `key` is its primary key, "" where it has none or the database drew it; `text` is for people."""

    table: str
    key: str
    text: str
    cells: tuple[Cell | None, ...] = field(default=(), compare=False)
    """What it holds, in the order of its columns; None for NULL."""


@dataclass(frozen=True, slots=True)
class Effects:
    """The results of some actors and all final rows."""

    results: Mapping[str, ActorResult]
    rows: tuple[Row, ...]
    names: Mapping[str, frozenset[str]]
    """Origin -> the generated values in the final rows."""
    shown: Mapping[str, frozenset[str]]
    """Origin -> the generated values that an actor was shown in a column of that origin, also of rows that are gone."""
    normalised: frozenset[str]
    """What is compared up to a renaming: `ids of event`."""

    def ending(self, actor: str) -> str:
        """How an actor ended, as in `returned 3`."""
        result = self.results[actor]
        state = f" ({result.sqlstate})" if result.sqlstate and result.kind is not ResultKind.RETURNED else ""
        return f"{result.kind} {_UUID.sub('<uuid>', result.text)}{state}"


def effects_of(trace: Trace, outcome: Outcome, layout: Layout, drawn: Drawn, actors: Collection[str]) -> Effects:
    """The effects of an execution, with the results of these of its actors."""
    rows, names = [], dict[str, set[str]]()
    for table in sorted(outcome.rows):
        columns = layout.columns.get(table, ())
        for text in map(_timeless, outcome.rows[table]):
            cells = tuple(_cell(value, column, drawn) for value, column in _paired(fields_of(text), columns))
            rows.append(Row(table, _key(cells, columns), f"({','.join(map(_plain, cells))})", cells))
            for cell in cells:
                if cell is not None and cell.origin:
                    names.setdefault(cell.origin, set()).update(parts_of(cell)[1::2])
    shown = _shown(trace, layout, drawn)
    normalised = {_ids_of(origin) for origin in (*names, *shown) if origin != UUID}
    results = {actor: _result(outcome.results[actor]) for actor in sorted(actors)}
    return Effects(results, tuple(rows), _frozen(names), _frozen(shown), frozenset(normalised))


def _timeless(text: str) -> str:
    """A text without the time that sleeps of others had made pass: in a serial run they come at another time."""
    return _MOMENT.sub("<now>", text) if "<now " in text else text


def _result(result: ActorResult) -> ActorResult:
    text = _timeless(result.text)
    return result if text == result.text else replace(result, text=text)


def parts_of(cell: Cell) -> list[str]:
    """A text taken apart: plain words at even places, numbers and marks of UUIDs at odd ones."""
    if cell.origin and _NUMBER.fullmatch(cell.text):
        return ["", cell.text, ""]
    return _PART.split(cell.text)


def _frozen(sets: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {origin: frozenset(values) for origin, values in sets.items()}


def _paired(fields: list[str | None], columns: tuple[Column, ...]) -> Iterator[tuple[str | None, Column]]:
    """Fields with their columns; without a catalog, each is a column of no special kind."""
    known = len(fields) == len(columns)
    for place, value in enumerate(fields):
        yield value, columns[place] if known else Column(str(place))


def _cell(value: str | None, column: Column, drawn: Drawn) -> Cell | None:
    if value is None:
        return None
    return Cell(value, column.origin if column.origin and drawn.has(column.origin, value) else "")


def _ids_of(origin: str) -> str:
    """`ids of event` for the origin `event.id`."""
    table, _, column = origin.rpartition(".")
    return f"{'ids' if column == 'id' else column} of {table}"


def _key(cells: tuple[Cell | None, ...], columns: tuple[Column, ...]) -> str:
    if len(cells) != len(columns):
        return ""
    own = [cell for cell, column in zip(cells, columns, strict=True) if column.key]
    if any(cell is None or cell.origin or _UUID.search(cell.text) or cell.text == UNCONTROLLED for cell in own):
        return ""
    return ",".join(map(_plain, own))


def _plain(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return ID if cell.origin else _UUID.sub("<uuid>", cell.text)


def _shown(trace: Trace, layout: Layout, drawn: Drawn) -> dict[str, set[str]]:
    """The generated values that actors were shown, in columns of such a name and of tables that their SQL names."""
    found: dict[str, set[str]] = {}
    for step in trace if layout.sequences else ():
        if step.action.kind not in (ActionKind.STATEMENT, ActionKind.FETCH) or step.result is None:
            continue
        words = set(_WORD.findall(step.action.text))
        for place, label in enumerate(step.result.columns):
            for origin in _origins(label, words, layout):
                values = {row[place].strip("'") for row in step.result.rows} | _beyond(step, origin, drawn)
                for value in values:
                    if drawn.has(origin, value):
                        found.setdefault(origin, set()).update(parts_of(Cell(value, origin))[1::2])
    return found


def _beyond(step: Step, origin: str, drawn: Drawn) -> set[str]:
    """Of a result whose end the trace does not keep: whatever was drawn may have been shown."""
    assert step.result is not None
    count = _COUNT.search(step.result.tag)
    if count is None or int(count[1]) <= len(step.result.rows) or not step.result.rows:
        return set()
    return {str(value) for value in drawn.values(origin)}


def _origins(label: str, words: Collection[str], layout: Layout) -> Iterator[str]:
    """Where the values of a result's column may have been drawn. SQLAlchemy may label it `id_1` or `event_id`."""
    for table, columns in layout.columns.items():
        short = table.rpartition(".")[2]
        if short in words:
            for column in columns:
                name = re.escape(column.name)
                if column.origin and re.fullmatch(rf"(?:{re.escape(short)}_)?{name}(?:_+\d+)?", label):
                    yield column.origin
