"""The cycles of deadlocks: who waited for whom, in which mode on what, and at which lines it took and asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lab.model.record import DeadlockEdge
from lab.model.text import cut
from lab.report.places import places_of
from lab.report.section import Message, Section
from lab.report.sql import statement_text
from lab.report.story import WIDTH

__all__ = ["SECTION"]


def _deadlocks(message: Message) -> Iterator[str]:
    places = places_of(message.record)
    for cycle in message.record.deadlocks:
        yield "deadlock, each waits for the next:"
        for edge in cycle:
            yield f"  {_holds(edge, cycle, places)}waits for {edge.holder}{_at(edge.step, places)}"
            sql = f" in {statement_text(edge.sql, edge.parameters)}" if edge.sql else ""
            yield f"    {cut(f'{edge.mode} on {edge.target}{sql}', WIDTH - 6)}"


def _holds(edge: DeadlockEdge, cycle: Sequence[DeadlockEdge], places: Mapping[int, str]) -> str:
    """Who waits, and what it holds meanwhile that somebody else of the circle waits for, where that is known."""
    wanted = next((each for each in cycle if each.holder == edge.waiter and each.since), None)
    if wanted is None:
        return f"{edge.waiter} "
    what = wanted.row or f"what {wanted.waiter} waits for"
    return f"{edge.waiter} holds {what} since{_at(wanted.since, places, word='')} and "


def _at(step: int, places: Mapping[int, str], word: str = " at") -> str:
    """The line behind a step with its number; only the number where the line is not known."""
    if not step:
        return ""
    return f"{word} {places[step]} (#{step})" if step in places else f"{word and ' in'} #{step}"


SECTION = Section("deadlocks", _deadlocks, heading="Why")
