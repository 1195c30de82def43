"""One run as it was, beside what the looks of values make of it: what two equal runs are compared by."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lab.checkers.serial.composite import fields_of
from lab.engine.plan import Finished
from lab.explore.ending import result_of, values_of
from lab.model.layout import Layout
from lab.model.nature import Path
from lab.model.outcome import ActorResult, Ending, ResultKind
from lab.model.trace import Step
from lab.postgres.recording.described import described
from lab.postgres.statements.met import MetRows

__all__ = ["Seen", "Shown", "Value"]

_UUID = re.compile(r"<uuid \d+>")


class Value(NamedTuple):
    """A text as it was met, and with the marks of `Mask`; which UUID is which is another matter."""

    raw: str
    marked: str


class Shown(NamedTuple):
    """A step and its values, in the order of their places."""

    step: Step
    parameters: tuple[tuple[Value, ...], ...]
    """One tuple for each row of an executemany, else only one."""
    rows: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """A run. `results` and `returned` are by actor, `rows` and `columns` by table."""

    ending: Ending
    steps: Sequence[Shown]
    results: Mapping[str, ActorResult]
    messages: Mapping[str, Value]
    returned: Mapping[str, Mapping[Path, Value]]
    rows: Mapping[str, Sequence[Sequence[Value | None]]]
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    met: MetRows = field(default_factory=MetRows)
    """Which rows its statements wrote, where that was recorded."""

    @classmethod
    def of(
        cls,
        finished: Finished,
        rows: Mapping[str, Sequence[str]],
        layout: Layout,
        mask: Callable[[str], str],
        met: MetRows,
    ) -> Seen:
        """Take in a run that has just ended; `mask` is its own."""
        value = _marker(mask)
        results = {name: result_of(finished, name, _as_it_is, _missed) for name in finished.trace.actors}
        return cls(
            finished.ending,
            [
                Shown(
                    step,
                    tuple(tuple(map(value, row)) for row in values_of(step)),
                    tuple(tuple(map(value, row)) for row in (step.result.rows if step.result else ())),
                )
                for step in finished.trace
            ],
            results,
            {name: value(f"{result.text} {result.detail}") for name, result in results.items()},
            {
                name: _leaves(result.value, value)
                for name, result in results.items()
                if result.kind is ResultKind.RETURNED
            },
            {
                table: [[None if each is None else value(each) for each in fields_of(text)] for text in texts]
                for table, texts in rows.items()
            },
            {table: [column.name for column in columns] for table, columns in layout.columns.items()},
            met,
        )


def _marker(mask: Callable[[str], str]) -> Callable[[str], Value]:
    return lambda text: Value(text, _UUID.sub("<uuid>", mask(text)))


def _as_it_is(text: str) -> str:
    return text


def _missed(kind: str) -> None:
    """Whose values cannot be described is of no interest here."""


def _leaves(value: object, make: Callable[[str], Value]) -> Mapping[Path, Value]:
    """The plain values in what an actor returned."""
    found: dict[Path, Value] = {}

    def keep(path: Path, text: str) -> str:
        met = found.get(path)  # the elements of a set have one path
        found[path] = make(text if met is None else f"{met.raw}, {text}")
        return text

    try:
        described(value, _missed, keep)
    except BaseException:  # noqa: BLE001 - code of the value's own class, of whatever kind its error is
        return {}
    return found
