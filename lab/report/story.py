"""The story of an execution: a numbered table, one column for each actor, one row for each step."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from lab.errors import printable
from lab.model.decision import TIME, Strike
from lab.model.trace import Step, Trace
from lab.report.places import places_of
from lab.report.section import Message, Section
from lab.report.sql import step_text

__all__ = ["SECTION", "story"]

WIDTH = 100
NARROWEST = 24
NUMBER = 4
NOWHERE: Mapping[int, str] = MappingProxyType({})


def story(trace: Trace, width: int = WIDTH, places: Mapping[int, str] = NOWHERE) -> str:
    """The steps as plain text, at most `width` characters wide. Actors for whom that is too narrow share one column.

    `places`: number of a step -> the line of code behind it.
    """
    actors = _columns(trace)
    if len(actors) * (NARROWEST + 2) > width - NUMBER:
        return "\n".join(_list(trace, width, places))
    return "\n".join(line.rstrip() for line in _table(trace, actors, width, places))


def _told(step: Step, places: Mapping[int, str]) -> str:
    return f"{printable(step_text(step))}  {places.get(step.number, '')}".rstrip()


def _columns(trace: Trace) -> list[str]:
    seen = {step.actor for step in trace if not step.is_fault}
    named = [actor for actor in trace.actors if actor in seen]
    return named + sorted(seen - set(named))


def _table(trace: Trace, actors: list[str], width: int, places: Mapping[int, str]) -> Iterator[str]:
    column = (width - NUMBER) // max(len(actors), 1)
    yield f"{'#':>{NUMBER - 1}} " + "".join(f" {name:<{column - 1}}" for name in actors)
    for step in trace:
        yield from _banner(step)
        if step.is_fault:
            continue
        indent = " " * (column * actors.index(step.actor) + 1)
        for index, line in enumerate(textwrap.wrap(_told(step, places), column - 2, subsequent_indent="  ")):
            number = f"{step.number:>{NUMBER - 1}} " if index == 0 else " " * NUMBER
            yield f"{number}{indent}{line}"


def _list(trace: Trace, width: int, places: Mapping[int, str]) -> Iterator[str]:
    longest = max(len(name) for name in _columns(trace))
    for step in trace:
        yield from _banner(step)
        if step.is_fault:
            continue
        yield from textwrap.wrap(
            f"{step.number:>{NUMBER - 1}}  {step.actor:<{longest}}  {_told(step, places)}",
            width,
            subsequent_indent=" " * (NUMBER + longest + 5),
            drop_whitespace=True,
        )


def _banner(step: Step) -> Iterator[str]:
    """A line over all columns: a preemption before the step, or a fault, which is a step of nobody."""
    if step.preempted:
        yield f"{'':>{NUMBER}} ── preemption: {step.preempted} was runnable ──"
    if step.is_fault:
        kind = "" if isinstance(step.chosen, Strike) and step.chosen.fault == TIME else "fault: "
        yield f"{step.number:>{NUMBER - 1}}  ── {kind}{step.action.text} ──"


def _story(message: Message) -> Iterator[str]:
    yield story(message.record.trace, places=places_of(message.record))


SECTION = Section("story", _story)
