"""Objects to an actor that ended with an error which its scenario does not allow."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model.outcome import ActorResult, Outcome, ResultKind
from lab.model.record import Finding
from lab.scenario.declare import Allowed, Scenario, actors_of

__all__ = ["unexpected_results"]


def unexpected_results(scenario: Scenario, outcome: Outcome) -> Iterator[Finding]:
    """A finding for each actor that raised neither an abort nor what the scenario or the actor allows."""
    for declaration in actors_of(type(scenario)):
        result = outcome.results.get(declaration.name)
        if result is None or result.kind is not ResultKind.RAISED:
            continue
        if not _allowed(result, (*scenario.allows, *declaration.allows)):
            state = f" (SQLSTATE {result.sqlstate})" if result.sqlstate else ""
            yield Finding("result", f"{declaration.name} ends without an error", f"{result.text}{state}")


def _allowed(result: ActorResult, allowed: tuple[Allowed, ...]) -> bool:
    states = {each for each in allowed if isinstance(each, str)}
    classes = tuple(each for each in allowed if isinstance(each, type))
    return result.sqlstate in states or isinstance(result.error, classes)
