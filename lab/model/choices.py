"""What can be chosen at one decision: the runnable actors, and what may strike or pause them.

The engine offers it, a scheduler chooses.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.model.decision import Decision, Go, Strike
from lab.model.trace import Action, Step

__all__ = ["Alternative", "Choices", "offered"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """A decision that can be taken now, and what would be done: the actor's next action, or what the fault does."""

    decision: Decision
    action: Action
    woken: bool = False

    @property
    def actor(self) -> str:
        """The actor whose step it would be; "" for a fault, which is a step of nobody."""
        return "" if isinstance(self.decision, Strike) else self.decision.actor

    @property
    def is_extra(self) -> bool:
        """Whether this is more than an actor going on: a fault or a breakpoint."""
        return not isinstance(self.decision, Go)

    @property
    def is_fault(self) -> bool:
        """Whether choosing this strikes a fault instead of letting an actor go on."""
        return isinstance(self.decision, Strike)


def offered(before: Alternative | None, decision: Decision, action: Action, *, woken: bool) -> Alternative:
    """Such an alternative; the same object as `before` where that is the same one."""
    if before is not None and before.action is action and before.woken is woken and before.decision is decision:
        return before
    return Alternative(decision, action, woken)


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be chosen at one decision.

    `alternatives` is never empty; index 0 is the actor that ran last if it is still runnable, otherwise the
    next one after it in the order of declaration. So all zeros is a serial run. Faults come behind the actors, then
    breakpoints; when all actors are done, a crash that must come stands alone.
    """

    step: int
    alternatives: tuple[Alternative, ...]
    last: str | None = None
    before: Step | None = None
    """The step that led here."""
    stalled: bool = False
    """A root actor waits, or waited, in the process for what only another can give."""

    def __post_init__(self) -> None:
        assert self.alternatives, "a decision needs a runnable actor"
        first = self.alternatives[0].decision
        assert isinstance(first, Go) or len(self.alternatives) == 1, "decision 0 lets an actor go on"

    @property
    def actors(self) -> int:
        """How many of the alternatives are actors; the rest, behind them, are faults and breakpoints."""
        number = len(self.alternatives)
        while number and not isinstance(self.alternatives[number - 1].decision, Go):
            number -= 1
        return number

    @property
    def names(self) -> tuple[str, ...]:
        """The runnable actors, in the order of decisions; () where only a fault can come."""
        return tuple(each.decision.actor for each in self.alternatives if isinstance(each.decision, Go))

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions that can be taken now, in their order."""
        return tuple(each.decision for each in self.alternatives)

    @property
    def last_goes_on(self) -> bool:
        """Whether the actor that ran last is runnable, so that any other choice preempts it."""
        first = self.alternatives[0].decision
        return isinstance(first, Go) and first.actor == self.last
