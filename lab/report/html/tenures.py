"""When each transaction of a history began and ended, by the steps of the trace it was recorded in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.model.history import History, Transaction
from lab.model.trace import ActionKind, Step, Trace

__all__ = ["Tenure", "tenures"]

_ENDS = (ActionKind.COMMIT, ActionKind.ROLLBACK)


@dataclass(frozen=True, slots=True)
class Tenure:
    """A transaction, whose it is, and the numbers of the steps from its first statement to its end."""

    transaction: Transaction
    actor: str
    began: int
    ended: int
    """The step after which its changes are there for others, or gone; beyond the last one where it never ended."""
    ends_by: str
    """How: "COMMIT", "ROLLBACK", "the error", "the fault", or "" where no step of the trace ended it."""


def tenures(history: History, trace: Trace) -> tuple[Tenure, ...]:
    """Those transactions of which a step is known, in the order in which the history has them."""
    return tuple(_tenures(history, trace))


def _tenures(history: History, trace: Trace) -> Iterator[Tenure]:
    steps = {step.number: step for step in trace}
    for each in history.transactions:
        numbers = sorted({operation.step for operation in each.operations if operation.step in steps})
        if numbers:
            actor = steps[numbers[0]].actor
            began = _first_statement(trace, actor, numbers[0])
            ended, ends_by = _end(trace, actor, numbers[-1], committed=each.committed)
            yield Tenure(each, actor, began, ended, ends_by)


def _first_statement(trace: Trace, actor: str, number: int) -> int:
    """The first statement of the actor since it last ended a transaction, which takes the snapshot."""
    first = number
    for step in reversed(trace.steps[: number - 1]):
        if step.actor != actor:
            continue
        if step.action.kind in _ENDS:
            break
        if step.action.kind is ActionKind.STATEMENT:
            first = step.number
    return first


def _end(trace: Trace, actor: str, last: int, *, committed: bool) -> tuple[int, str]:
    """The step that ended it. The server lets go of everything with the error that breaks a transaction off."""
    for step in trace.steps[last - 1 :]:
        if step.is_fault and not committed and step.chosen.actor in (actor, "server"):
            return step.number, "the fault"
        if step.actor != actor:
            continue
        if step.number > last and step.action.kind in _ENDS:
            return step.number, str(step.action.kind)
        if not committed and step.result is not None and step.result.error and not _goes_on(trace, step):
            return step.number, "the error"
    return (last, "") if committed else (len(trace) + 1, "")


def _goes_on(trace: Trace, failed: Step) -> bool:
    """Whether a savepoint saved the transaction from this error."""
    own = [step for step in trace.steps[failed.number :] if step.actor == failed.actor]
    return bool(own) and own[0].action.kind is ActionKind.ROLLBACK_TO
