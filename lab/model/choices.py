"""What can be chosen at one decision: the runnable actors, and what may strike or pause them.

The engine offers it, a scheduler chooses.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.model.trace import Action, ActionKind, Step

__all__ = ["Alternative", "Choices"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """An actor that can take the next step, and what it would do; or an extra: a fault, or a step with a breakpoint."""

    actor: str
    action: Action
    woken: bool = False
    of: str = ""
    """Of a breakpoint: the actor whose step it is. `actor` is then the name of the decision, `action` the step's."""

    @property
    def is_extra(self) -> bool:
        """Whether this is more than an actor going on: a fault or a breakpoint."""
        return bool(self.of) or self.is_fault

    @property
    def is_fault(self) -> bool:
        """Whether choosing this strikes a fault instead of letting an actor go on."""
        return self.action.kind is ActionKind.FAULT


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
    """Somebody waits in the process for what only another can give."""

    def __post_init__(self) -> None:
        assert self.alternatives, "a decision needs a runnable actor"
        alone = len(self.alternatives) == 1
        assert alone or not self.alternatives[0].is_extra, "decision 0 lets an actor go on"

    @property
    def actors(self) -> int:
        """How many of the alternatives are actors; the rest, behind them, are faults and breakpoints."""
        return sum(not each.is_extra for each in self.alternatives)

    @property
    def names(self) -> tuple[str, ...]:
        """The runnable actors, in the order of decisions."""
        return tuple(alternative.actor for alternative in self.alternatives)
