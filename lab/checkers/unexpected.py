"""Objects to an actor that ended with an error which its scenario does not allow."""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.checker import Checker
from lab.model.outcome import ActorResult, ResultKind
from lab.model.record import ExecutionRecord, Finding
from lab.scenario.declare import Allowed, actors_of

__all__ = ["CHECKER"]


def _unexpected_results(record: ExecutionRecord) -> Iterator[Finding]:
    """A finding for each actor that raised neither an abort nor what the scenario or the actor allows."""
    scenario = record.scenario
    for declaration in actors_of(type(scenario)):
        result = record.outcome.results.get(declaration.name)
        if result is None or result.kind is not ResultKind.RAISED:
            continue
        if not _allowed(result, (*scenario.allows, *declaration.allows)):
            state = f" (SQLSTATE {result.sqlstate})" if result.sqlstate else ""
            yield Finding("result", f"{declaration.name} ends without an error", f"{result.text}{state}")


def _allowed(result: ActorResult, allowed: tuple[Allowed, ...]) -> bool:
    states = {each for each in allowed if isinstance(each, str)}
    classes = tuple(each for each in allowed if isinstance(each, type))
    return result.sqlstate in states or isinstance(result.error, classes)


CHECKER = Checker(name="result", headline="UNEXPECTED ERROR", check=_unexpected_results)
