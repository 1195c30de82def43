"""The interface of a scheduler, modelled on Shuttle's: three methods, and `False` means stop.

Search state lives in the scheduler, which outlives executions. A scheduler sees what the engine sees at
rest and nothing else, so equal choices give equal decisions.
"""

from __future__ import annotations

import random
from typing import Protocol

from lab.model.choices import Choices
from lab.model.trace import Trace

__all__ = [
    "FAULT_CHANCE",
    "Scheduler",
    "fault_by_chance",
    "is_calibrated",
    "is_complete",
    "is_sample",
]

FAULT_CHANCE = 0.15
"""How likely a step is to be a fault, where one can strike, or paused, where a breakpoint can be set, for schedulers
that go by chance: often enough that most executions hold one, seldom enough that it may come late."""


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
