"""What an execution gave, in a form in which two executions can be compared: results and final rows.

Some values differ between two executions that did the same: ids that a sequence gave, random UUIDs. Such a value is a
name for something, so two executions are the same when one's names can be exchanged for the other's. Every row and
result is a fact in which names occur; a name is described by the facts that it occurs in, and by how the other names in
them are described: colour refinement, which Weisfeiler and Leman (1968) made to tell graphs apart. Deviation: where it
cannot tell two names apart, they count as alike, so rows that refer to each other in rings of different lengths may
pass for the same. What is no name is always compared as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

from lab.checkers.serial.composite import fields_of
from lab.model.layout import Column, Drawn, Layout
from lab.model.outcome import ActorResult, Outcome, ResultKind
from lab.model.trace import ActionKind, Step, Trace

__all__ = ["Effects", "Row", "effects_of"]

ID = "<id>"
"""Stands for a generated id in a result and wherever one is shown."""

_UUID = re.compile(r"<uuid (\d+)>")
_UUIDS = re.compile(r"(<uuid \d+>)")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?![\w.])")
_WORD = re.compile(r"\w+")
_COUNT = re.compile(r"(\d+)$")


class Name(NamedTuple):
    """A value that only names something: where it comes from, and what it is in this execution."""

    origin: str
    value: str


Text = tuple["str | Name", ...]
"""A text with the names that occur in it."""
Fact = tuple["str | Text | None", ...]
"""A row or a result: plain words that say what it is, and texts."""


@dataclass(frozen=True, slots=True)
class Row:
    """A final row as it is shown. `key` is its primary key, "" where it has none or the database drew it."""

    table: str
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Effects:
    """The results of some actors and all final rows, without what differs by nature."""

    results: Mapping[str, str]
    """Actor -> how it ended, as in `returned 3`."""
    rows: tuple[Row, ...]
    facts: tuple[str, ...]
    """All of it in a canonical form: two executions gave the same exactly when these are equal."""
    normalised: frozenset[str]
    """What was not compared as it is: `ids of event`."""


def effects_of(trace: Trace, outcome: Outcome, layout: Layout, drawn: Drawn, actors: Collection[str]) -> Effects:
    """The effects of an execution, with the results of these of its actors."""
    normalised: set[str] = set()
    facts: list[Fact] = []
    results: dict[str, str] = {}
    for actor in sorted(actors):
        result = outcome.results[actor]
        ids = _Ids(trace, actor, layout, drawn)
        text = ids.hidden(result.text)
        normalised |= ids.found
        facts.append(("result", actor, result.kind.value, result.sqlstate, _text(text)))
        results[actor] = _told(result, text)
    rows = []
    for table in sorted(outcome.rows):
        columns = layout.columns.get(table, ())
        for text in outcome.rows[table]:
            cells = [_cell(field, column, drawn) for field, column in _paired(fields_of(text), columns)]
            facts.append(("row", table, *cells))
            rows.append(Row(table, _key(cells, columns), _shown(cells)))
            normalised |= {_ids_of(part.origin) for cell in cells for part in cell or () if _is_id(part)}
    return Effects(results, tuple(rows), _canonical(facts), frozenset(normalised))


def _paired(fields: list[str | None], columns: tuple[Column, ...]) -> Iterator[tuple[str | None, Column]]:
    """Fields with their columns; without a catalog, each is a column of no special kind."""
    known = len(fields) == len(columns)
    for place, field in enumerate(fields):
        yield field, columns[place] if known else Column(str(place))


def _cell(field: str | None, column: Column, drawn: Drawn) -> Text | None:
    if field is None:
        return None
    if column.origin and drawn.has(column.origin, field):
        return (Name(column.origin, field),)
    return _text(field)


def _text(text: str) -> Text:
    parts: list[str | Name] = []
    for place, part in enumerate(_UUID.split(text)):
        parts.append(Name("", part) if place % 2 else part)
    return tuple(parts)


def _is_id(part: str | Name) -> TypeGuard[Name]:
    return isinstance(part, Name) and bool(part.origin)


def _ids_of(origin: str) -> str:
    """`ids of event` for the origin `event.id`."""
    table, _, column = origin.rpartition(".")
    return f"{'ids' if column == 'id' else column} of {table}"


def _key(cells: list[Text | None], columns: tuple[Column, ...]) -> str:
    if len(cells) != len(columns):
        return ""
    own = [cell for cell, column in zip(cells, columns, strict=True) if column.key]
    if any(cell is None or any(isinstance(part, Name) for part in cell) for cell in own):
        return ""
    return ",".join(_plain(cell) for cell in own)


def _shown(cells: list[Text | None]) -> str:
    return f"({','.join(map(_plain, cells))})"


def _plain(cell: Text | None) -> str:
    parts = (part if isinstance(part, str) else ID if part.origin else "<uuid>" for part in cell or ())
    return "".join(parts)


def _told(result: ActorResult, text: str) -> str:
    if result.kind is ResultKind.RETURNED:
        return f"returned {_UUID.sub('<uuid>', text)}"
    state = f" ({result.sqlstate})" if result.sqlstate else ""
    return f"{result.kind} {_UUID.sub('<uuid>', text)}{state}"


class _Ids:
    """The generated ids that one actor was shown, in columns of such a name and of tables that its SQL names.

    Those that it wrote itself come with RETURNING, others when it reads them. In what it returns they are replaced.
    A number that was not shown, or that no sequence drew, stays.
    """

    def __init__(self, trace: Trace, actor: str, layout: Layout, drawn: Drawn) -> None:
        self._drawn = drawn
        self._shown: dict[str, str] = {}
        """Value -> origin."""
        self._cut: set[str] = set()
        """Origins of results whose end the trace does not keep: whatever was drawn may have been shown."""
        self.found: set[str] = set()
        if layout.sequences:
            for step in trace:
                if step.actor.partition("/")[0] == actor and step.result is not None and step.result.rows:
                    self._learn(step, layout)

    def _learn(self, step: Step, layout: Layout) -> None:
        assert step.result is not None
        if step.action.kind not in (ActionKind.STATEMENT, ActionKind.FETCH):
            return
        words = set(_WORD.findall(step.action.text))
        for place, label in enumerate(step.result.columns):
            for origin in _origins(label, words, layout):
                if _is_cut(step):
                    self._cut.add(origin)
                for row in step.result.rows:
                    value = row[place].strip("'")
                    if self._drawn.has(origin, value):
                        self._shown.setdefault(value, origin)

    def hidden(self, text: str) -> str:
        """The text with a mark in place of each such id; the numbers of UUIDs are none."""
        if not self._shown and not self._cut:
            return text
        return "".join(part if _UUID.fullmatch(part) else self._without_ids(part) for part in _UUIDS.split(text))

    def _without_ids(self, text: str) -> str:
        for value in sorted(self._shown, key=len, reverse=True):
            if not _NUMBER.fullmatch(value) and value in text:  # an expression made a text from the number
                self.found.add(_ids_of(self._shown[value]))
                text = text.replace(value, ID)
        return _NUMBER.sub(self._mark, text)

    def _mark(self, match: re.Match[str]) -> str:
        value = match[0]
        unseen = (each for each in sorted(self._cut) if self._drawn.has(each, value))
        origin = self._shown.get(value) or next(unseen, "")
        if not origin:
            return value
        self.found.add(_ids_of(origin))
        return ID


def _origins(label: str, words: Collection[str], layout: Layout) -> Iterator[str]:
    """Where the values of a result's column may have been drawn. SQLAlchemy may label it `id_1` or `event_id`."""
    for table, columns in layout.columns.items():
        if table.rpartition(".")[2] in words:
            short = table.rpartition(".")[2]
            for column in columns:
                name = re.escape(column.name)
                if column.origin and re.fullmatch(rf"(?:{re.escape(short)}_)?{name}(?:_+\d+)?", label):
                    yield column.origin


def _is_cut(step: Step) -> bool:
    assert step.result is not None
    count = _COUNT.search(step.result.tag)
    return count is not None and int(count[1]) > len(step.result.rows)


def _canonical(facts: list[Fact]) -> tuple[str, ...]:
    """The facts with each name replaced by a description of its place among them, sorted."""
    occurrences: dict[Name, list[Fact]] = {}
    for fact in facts:
        for name in {part for text in fact if isinstance(text, tuple) for part in text if isinstance(part, Name)}:
            occurrences.setdefault(name, []).append(fact)
    colours = {name: name.origin for name in occurrences}
    classes = 0
    while classes < len(set(colours.values())):
        classes = len(set(colours.values()))
        colours = {
            name: _digest(colours[name], *sorted(_coloured(fact, colours, name) for fact in met))
            for name, met in occurrences.items()
        }
    return tuple(sorted(_coloured(fact, colours) for fact in facts))


def _coloured(fact: Fact, colours: Mapping[Name, str], own: Name | None = None) -> str:
    """A fact in which each name is its description, and `own` stands out."""
    return repr(
        [
            [("own",) if part == own else (colours[part],) if isinstance(part, Name) else part for part in text]
            if isinstance(text, tuple)
            else text
            for text in fact
        ]
    )


def _digest(*texts: str) -> str:
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:24]
