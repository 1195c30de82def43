"""Objects to an actor that ended with an error which its scenario does not allow."""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.checker import EVERY_REMEDY, Checker
from lab.errors import is_a
from lab.model.outcome import ActorResult, Outcome, ResultKind
from lab.model.record import ExecutionRecord, Finding
from lab.scenario.declare import Allowed, Scenario, actors_of

__all__ = ["CHECKER", "failed_actors"]


def failed_actors(scenario: Scenario, outcome: Outcome) -> Iterator[str]:
    """The actors that raised neither an abort nor what the scenario or the actor allows."""
    allows = {each.name: (*scenario.allows, *each.allows) for each in actors_of(type(scenario))}
    for name, result in outcome.results.items():
        actor = name if name in allows else name.rpartition("/")[0]  # or a task of its own
        if result.kind is ResultKind.RAISED and not _allowed(result, allows.get(actor, scenario.allows)):
            yield name


def _unexpected_results(record: ExecutionRecord) -> Iterator[Finding]:
    """A finding for each actor that failed, but for what comes of a shared session: that is no finding of its own."""
    sharing = {name.partition("/")[0] for each in record.sharings for name in (each.first, each.second)}
    for name in failed_actors(record.scenario, record.outcome):
        if name.partition("/")[0] not in sharing:
            result = record.outcome.results[name]
            state = f" (SQLSTATE {result.sqlstate})" if result.sqlstate else ""
            yield Finding("result", f"{name} ends without an error", f"{result.text}{state}")


def _allowed(result: ActorResult, allowed: tuple[Allowed, ...]) -> bool:
    states = {each for each in allowed if isinstance(each, str)}
    classes = tuple(each for each in allowed if isinstance(each, type))
    return result.sqlstate in states or is_a(result.error, *classes)


CHECKER = Checker(
    name="result",
    headline="UNEXPECTED ERROR",
    check=_unexpected_results,
    race=False,
    cured_by=EVERY_REMEDY,  # of errors of the constraints between rows; see `lab.search.remedies.curable`
)
