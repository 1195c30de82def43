"""The way that an execution took, as plain values: all that a scheduler was asked, and can be asked again elsewhere.

A scheduler sees choices and traces and nothing else. So an execution that was made in another process can be taken in
by asking the scheduler of the search the same: it makes each decision itself, and learns from the trace at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.analysis.move_text import footprint_of, footprint_text
from lab.model.choices import Alternative, Choices
from lab.model.decision import Decision, Strike
from lab.model.decision_text import decision_of, decision_text
from lab.model.footprint import Deferred
from lab.model.trace import Action, ActionKind, LockWait, Result, Step, Trace
from lab.schedulers.base import Scheduler
from lab.schedulers.wrapper import Wrapper

__all__ = ["Noting", "led_along", "way_of"]

WAITED, FAILED = 1, 2
"""How a step ended, as bits."""
_POINT = Action(ActionKind.POINT)
"""What an alternative would do is not asked by those who are led along a way."""


class Noting(Wrapper):
    """Notes what stands in no trace: whether actors waited for each other in the process."""

    stalled = False

    def begin(self, execution: int) -> bool:
        """Anew."""
        self.stalled = False
        return super().begin(execution)

    def choose(self, choices: Choices) -> int:
        """What the one inside chooses."""
        self.stalled |= choices.stalled
        return super().choose(choices)


def way_of(trace: Trace, *, stalled: bool) -> dict[str, Any]:
    """The way of an execution, as values that JSON can hold. Footprints and alternatives that come again stand once."""
    alternatives: dict[tuple[Decision, ...], int] = {}
    footprints: dict[str, int] = {}
    steps = []
    for step in trace:
        offered = alternatives.setdefault(step.alternatives, len(alternatives))
        touched = footprints.setdefault(footprint_text(step.action.footprint), len(footprints))
        ended = WAITED * (step.wait is not None) | FAILED * bool(step.result and step.result.error)
        steps.append([offered, step.index, step.action.kind.value, touched, ended])
    return {
        "alternatives": [list(map(decision_text, each)) for each in alternatives],
        "footprints": list(footprints),
        "steps": steps,
        "actors": trace.actors,
        "starts": trace.starts,
        "stalled": stalled,
    }


def led_along(scheduler: Scheduler, execution: int, way: Mapping[str, Any], form: str) -> bool:
    """Let a scheduler make the decisions of its next execution along a way; whether they are those that were made.

    If so, it has learnt from the execution, whose normal form has the digest `form`. If not, the execution is as one
    that was broken off. Raises `Divergence` as the scheduler does.
    """
    if not scheduler.begin(execution):
        return False
    alternatives = [tuple(map(decision_of, each)) for each in way["alternatives"]]
    offers = [tuple(Alternative(each, _POINT) for each in decisions) for decisions in alternatives]
    touches = [None if (each := footprint_of(text)) is None else Deferred.known(each) for text in way["footprints"]]
    steps: list[Step] = []
    last = None
    for number, (offered, chosen, kind, touched, ended) in enumerate(way["steps"]):
        before = steps[-1] if steps else None
        if scheduler.choose(Choices(number, offers[offered], last, before, way["stalled"])) != chosen:
            return False
        decision = alternatives[offered][chosen]
        steps.append(
            Step(
                number + 1,
                decision,
                alternatives[offered],
                Action(ActionKind(kind), touches=touches[touched]),
                result=Result(error="it failed") if ended & FAILED else None,
                wait=LockWait(()) if ended & WAITED else None,
            )
        )
        last = last if isinstance(decision, Strike) else decision.actor
    scheduler.end(Trace(tuple(steps), tuple(way["actors"]), starts=way["starts"], form=form))
    return True
