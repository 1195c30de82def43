"""The story of an execution: a numbered table, one column for each actor, one row for each step."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from lab.errors import printable
from lab.model.decision import TIME, Strike
from lab.model.trace import ActionKind, Step, Trace
from lab.report.columns import Columns
from lab.report.folding import Lines, folded
from lab.report.places import places_of
from lab.report.section import WIDTH, Message, Section
from lab.report.sql import one_line, step_text

__all__ = ["SECTION", "WIDTH", "story", "story_of"]

NARROWEST = 24
NUMBER = 4
NOWHERE: Mapping[int, str] = MappingProxyType({})
UNMARKED: Mapping[int, Sequence[str]] = MappingProxyType({})
MOST_LINES = 4
"""Of a mark."""
TALL = 40
"""Lines that a screen has. A table with more, beside its marks, is shown as a list where that has fewer."""


def story(
    trace: Trace,
    width: int = WIDTH,
    *,
    keys: Collection[str] = (),
    apart: Collection[int] = (),
    places: Mapping[int, str] = NOWHERE,
    marks: Mapping[int, Sequence[str]] = UNMARKED,
) -> str:
    """The steps as plain text, at most `width` characters wide. Actors for whom that is too narrow share one column.

    `keys` are columns that are shown in any case, `apart` the numbers of steps that have a line of their own, though
    they repeat others; `places`: number of a step -> the line of code behind it; `marks`: -> what stands below it.
    """
    texts = _texts(trace, Columns.of(_statements(trace), keys), {*apart, *marks}, places)
    actors = _columns(trace)
    beside = len(actors) * (NARROWEST + 2) <= width - NUMBER
    lines = list(_table(texts, actors, width, marks) if beside else _list(texts, actors, width, marks))
    if beside and len(lines) - sum(map(len, marks.values())) > TALL:
        lines = min(lines, list(_list(texts, actors, width, marks)), key=len)
    return "\n".join(line.rstrip() for line in lines)


def _statements(trace: Trace) -> Iterator[str]:
    return (one_line(step.action.text) for step in trace if step.action.kind is ActionKind.STATEMENT)


def _texts(trace: Trace, columns: Columns, apart: Collection[int], places: Mapping[int, str]) -> list[tuple[Step, str]]:
    """Each step that has a line of its own, with what it says and where it is from."""

    def said(line: Lines) -> str:
        if line.step.is_fault:
            return ""
        text = f"{printable(step_text(line.step, columns))} {line.note}".rstrip()
        return f"{text}  {places.get(line.step.number, '')}".rstrip()

    return [(line.step, said(line)) for line in folded(trace, apart)]


def _columns(trace: Trace) -> list[str]:
    seen = {step.actor for step in trace if not step.is_fault}
    named = [actor for actor in trace.actors if actor in seen]
    return named + sorted(seen - set(named))


def _table(
    texts: Sequence[tuple[Step, str]], actors: list[str], width: int, marks: Mapping[int, Sequence[str]]
) -> Iterator[str]:
    column = (width - NUMBER) // max(len(actors), 1)
    yield f"{'#':>{NUMBER - 1}} " + "".join(f" {name:<{column - 1}}" for name in actors)
    for step, text in texts:
        yield from _banner(step)
        if step.is_fault:
            continue
        indent = " " * (column * actors.index(step.actor) + 1)
        for index, line in enumerate(textwrap.wrap(text, column - 2, subsequent_indent="  ")):
            number = f"{step.number:>{NUMBER - 1}} " if index == 0 else " " * NUMBER
            yield f"{number}{indent}{line}"
        yield from _mark(step, marks, width)


def _list(
    texts: Sequence[tuple[Step, str]], actors: list[str], width: int, marks: Mapping[int, Sequence[str]]
) -> Iterator[str]:
    longest = max(map(len, actors), default=0)
    for step, text in texts:
        yield from _banner(step)
        if step.is_fault:
            continue
        yield from textwrap.wrap(
            f"{step.number:>{NUMBER - 1}}  {step.actor:<{longest}}  {text}",
            width,
            subsequent_indent=" " * (NUMBER + longest + 5),
            drop_whitespace=True,
        )
        yield from _mark(step, marks, width)


def _banner(step: Step) -> Iterator[str]:
    """A line over all columns: a preemption before the step, or a fault, which is a step of nobody."""
    if step.preempted:
        yield f"{'':>{NUMBER}} ── preemption: {step.preempted} was runnable ──"
    if step.is_fault:
        kind = "" if isinstance(step.chosen, Strike) and step.chosen.fault == TIME else "fault: "
        yield f"{step.number:>{NUMBER - 1}}  ── {kind}{step.action.text} ──"


def _mark(step: Step, marks: Mapping[int, Sequence[str]], width: int) -> Iterator[str]:
    """Lines over all columns below a step, for each of its marks: what did not hold then, what was stale."""
    room = width - NUMBER - len(" ── " * 2)
    for said in marks.get(step.number, ()):
        lines = textwrap.wrap(said, room, max_lines=MOST_LINES, placeholder=" …")
        yield from (f"{'':>{NUMBER}} ── {line}{' ──' if line is lines[-1] else ''}" for line in lines)


def story_of(message: Message) -> str:
    """The story as a message has it: with the keys of the scenario's tables, and each step that the message names."""
    record = message.record
    places, marks = places_of(record), _marks(message)
    return story(
        record.trace, message.width, keys=_keys(message), apart=_spoken_of(message), places=places, marks=marks
    )


def _marks(message: Message) -> dict[int, tuple[str, ...]]:
    """Number of a step -> which invariants did not hold from then on, and whose read was stale."""
    broken: dict[int, str] = {}
    for each in message.record.findings:
        if each.step:
            before = f"{broken[each.step]}; " if each.step in broken else ""
            broken[each.step] = before + printable(each.moment.split("\n", 1)[0])
    marks: dict[int, tuple[str, ...]] = {number: (f"here: {said}",) for number, said in broken.items()}
    for one in message.stale:
        marks[one.since] = (
            *marks.get(one.since, ()),
            printable(f"stale from here: {one.what} as {one.actor} read it in #{one.read}"),
        )
    return marks


def _keys(message: Message) -> set[str]:
    """The columns of the primary keys of the scenario's tables."""
    metadata = type(message.record.scenario).metadata
    tables = () if metadata is None else metadata.tables.values()
    return {column.name for table in tables for column in table.primary_key}


def _spoken_of(message: Message) -> set[int]:
    """The steps that the message names by their numbers."""
    explanation, cause, failure = message.explanation, message.cause, message.failure
    named = set(cause.steps) if cause is not None else set()
    named |= {step for link in explanation.links for step in link.steps} if explanation is not None else set()
    if failure is None:
        return named
    needs = failure.relevance
    swapped = {step for swap in needs.swaps for step in swap}
    turned = {step for each in needs.passes for step in (each.step, each.before)}
    return named | swapped | turned | {*needs.preemptions, *needs.faults, *needs.breakpoints}


SECTION = Section("story", lambda message: (story_of(message),))
