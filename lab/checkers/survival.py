"""Objects to an actor that does not get over refusals of the server which it says it survives.

Where it states in how many attempts it ends, that is held against schedules that are fair to the others: under any
other, those whom it waits for may never take a step, and nobody could end then. An attempt counts if, from the refusal
before it (or the actor's beginning) to its own, each other actor that could go on took no fewer steps than this one and
committed at most once (bounded overtaking).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lab.checkers.checker import Checker
from lab.model.decision import Go
from lab.model.record import ExecutionRecord, Finding
from lab.model.trace import ActionKind, Step
from lab.scenario.declare import ActorDeclaration, actors_of

__all__ = ["CHECKER"]

ONCE = 1
"""How often another may commit in one attempt."""


def _survival(record: ExecutionRecord) -> Iterator[Finding]:
    """A finding for each actor that gave up, or needed more attempts than it states."""
    for actor in actors_of(type(record.scenario)):
        if actor.survives and actor.name in record.outcome.results:
            yield from _survives(record, actor)


def _survives(record: ExecutionRecord, actor: ActorDeclaration) -> Iterator[Finding]:
    attempts = list(_refused(record, actor))
    fair = sum(_is_fair(steps, actor.name) for steps in attempts)
    if actor.attempts is not None and fair >= actor.attempts:
        said = f"{actor.name} was refused {fair} times while every other actor got its share of steps"
        yield Finding("survival", f"{actor.name} ends within {actor.attempts} attempts", said)
        return
    result = record.outcome.results[actor.name]
    gave_up = not result.returned and result.sqlstate in actor.survives
    if gave_up and (actor.attempts is None or len(attempts) < actor.attempts):
        times = "once" if len(attempts) == 1 else f"{len(attempts)} times"
        said = f"{actor.name} was refused {times} and ended with {result.text} ({result.sqlstate})"
        yield Finding("survival", f"{actor.name} tries again after {result.sqlstate}", said)


def _refused(record: ExecutionRecord, actor: ActorDeclaration) -> Iterator[list[Step]]:
    """The steps of all actors from one refusal of an actor, or its beginning, to the next."""
    steps: list[Step] = []
    for step in record.trace:
        steps.append(step)
        refused = step.result is not None and step.result.error in actor.survives
        if refused and _root(step.actor) == actor.name:
            yield steps
            steps = []


def _is_fair(attempt: list[Step], actor: str) -> bool:
    taken = Counter(_root(step.actor) for step in attempt)
    could = {_root(each.actor) for step in attempt for each in step.alternatives if isinstance(each, Go)}
    ends = (step for step in attempt if step.result is not None and step.result.tag == "COMMIT")
    committed = Counter(_root(step.actor) for step in ends if step.action.kind is ActionKind.COMMIT)
    others = could - {actor}
    return all(taken[each] >= taken[actor] or _is_over(attempt, each) for each in others) and all(
        committed[each] <= ONCE for each in others
    )


def _is_over(attempt: list[Step], actor: str) -> bool:
    """Whether an actor could not go on any more at the end of an attempt: it waits, or has ended."""
    return all(not isinstance(each, Go) or _root(each.actor) != actor for each in attempt[-1].alternatives)


def _root(actor: str) -> str:
    return actor.partition("/")[0]


CHECKER = Checker(name="survival", headline="NOT SURVIVED", check=_survival)
