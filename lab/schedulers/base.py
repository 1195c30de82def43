"""The interface of a scheduler, modelled on Shuttle's: three methods, and `False` means stop.

Search state lives in the scheduler, which outlives executions. A scheduler sees what the engine sees at
rest and nothing else, so equal choices give equal decisions.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from lab.trace import Action, ActionKind, Step, Trace

__all__ = [
    "FAULT_CHANCE",
    "Alternative",
    "Choices",
    "Scheduler",
    "fault_by_chance",
    "is_calibrated",
    "is_complete",
    "is_sample",
]

FAULT_CHANCE = 0.15
"""How likely a step is to be a fault, where one can strike, or paused, where a breakpoint can be set, for schedulers
that go by chance: often enough that most executions hold one, seldom enough that it may come late."""


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


class Scheduler(Protocol):
    """A policy that makes decisions."""

    def begin(self, execution: int) -> bool:
        """Prepare for the execution with this number (from 0, ascending); False: the search is over."""

    def choose(self, choices: Choices) -> int:
        """Index of the alternative that takes the next step."""

    def end(self, trace: Trace) -> None:
        """Learn how the execution went."""


def fault_by_chance(chance: random.Random, choices: Choices) -> int | None:
    """Index of a fault, now and then, where one can strike; None: an actor goes on. What every sampler begins with."""
    actors, all_of_them = choices.actors, len(choices.alternatives)
    if not actors:
        return 0
    if actors < all_of_them and chance.random() < FAULT_CHANCE:
        return chance.randrange(actors, all_of_them)
    return None


def is_sample(scheduler: Scheduler) -> bool:
    """Whether the execution that a scheduler has begun is an independent sample, by its attribute `sampled`.

    Only such executions count for the bound 3/n. Those of a portfolio are drawn from several distributions in turn;
    the bound then holds for the mean of their chances, since the product of (1 - p) is at most exp(-n * mean p).
    """
    return bool(getattr(scheduler, "sampled", False))


def is_complete(scheduler: Scheduler) -> bool:
    """Whether a search that is over has run every trace, by the scheduler's attribute `complete`."""
    return bool(getattr(scheduler, "complete", False))


def is_calibrated(scheduler: Scheduler) -> bool:
    """Whether a scheduler can begin at any execution, by its attribute `calibrated`; else execution 0 comes first."""
    return bool(getattr(scheduler, "calibrated", True))
