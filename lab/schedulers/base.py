"""The interface of a scheduler, modelled on Shuttle's: three methods, and `False` means stop.

Search state lives in the scheduler, which outlives executions. A scheduler sees what the engine sees at
rest and nothing else, so equal choices give equal decisions. What a scheduler is stands on its class, and what
changes while it runs is a property with a default; so callers need no table and no `getattr`.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from lab.model.choices import Choices
from lab.model.decision import Strike
from lab.model.trace import Trace

__all__ = ["FAULT_CHANCE", "Option", "Scheduler", "fault_by_chance"]

FAULT_CHANCE = 0.15
"""How likely a step is to be a fault, where one can strike, or paused, where a breakpoint can be set, for schedulers
that go by chance: often enough that most executions hold one, seldom enough that it may come late."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a scheduler: a keyword of its constructor, and on the command line `--name`. A whole number."""

    name: str
    help: str
    """What it is, in a few words: the command line puts the scheduler's name before it and the default behind it."""
    least: int = 0
    """Smaller values are refused before a scheduler is made."""
    default: int | None = None
    """None: without it there is no limit."""


class Scheduler(ABC):
    """A policy that makes decisions. Whoever runs an execution calls `begin` before and `end` after it.

    `begin` may say that the search is over; then there is no execution. One that was broken off has no `end`.
    """

    name: ClassVar[str] = ""
    """As the command line and reports have it; "" for one that cannot be asked for by name."""
    summary: ClassVar[str] = ""
    """What it does, in one line."""
    options: ClassVar[tuple[Option, ...]] = ()
    by_chance: ClassVar[bool] = True
    """Whether another seed gives another search."""
    independent: ClassVar[bool] = False
    """Its executions are independent samples, but for execution 0 if it measures in that."""
    prologue: ClassVar[int | None] = None
    """How many executions at the beginning belong together; each later one is the same wherever it runs, once the
    scheduler is `calibrated`. None: an execution depends on those before it, so workers cannot share the search."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        """For those that go by chance; the others are the same under every seed."""

    @property
    def sampled(self) -> bool:
        """Whether the last execution that was begun is an independent sample.

        Only such executions count for the bound 3/n. Those of a portfolio are drawn from several distributions in
        turn; the bound then holds for the mean of their chances, since the product of (1 - p) is at most
        exp(-n * mean p).
        """
        return self.independent

    @property
    def complete(self) -> bool:
        """Whether a search that is over has run every trace."""
        return False

    @property
    def calibrated(self) -> bool:
        """Whether it can begin at any execution; else execution 0 comes first."""
        return True

    @property
    def bound(self) -> int | None:
        """Schedules with fewer preemptions and faults than this were all run; None where that is not known."""
        return None

    @property
    def starts(self) -> bool | None:
        """Whether that an actor begins is a decision; None: as the conditions of the execution say."""
        return None

    @property
    def pauses(self) -> bool:
        """Whether it will pause a statement between two rows, wherever it runs."""
        return False

    @property
    def faults(self) -> tuple[Strike, ...]:
        """The faults that will strike, one for each time, wherever it runs; they need not be asked for."""
        return ()

    @property
    def exact(self) -> bool:
        """Whether it leaves out orders because of what steps touch, so that each statement is to be asked about."""
        return False

    @property
    def predictions(self) -> tuple[int, int]:
        """How many predictions were tried, and how many came true."""
        return 0, 0

    @property
    def exhausted(self) -> bool:
        """Whether to ignore this execution, since it could not make its own decisions."""
        return False

    @property
    def final(self) -> bool:
        """Whether this execution is the one to report: what led to it was tried before and shrunk."""
        return False

    @abstractmethod
    def begin(self, execution: int) -> bool:
        """Prepare for the execution with this number (from 0, ascending); False: the search is over."""

    @abstractmethod
    def choose(self, choices: Choices) -> int:
        """Index of the alternative that takes the next step."""

    def end(self, trace: Trace) -> None:  # noqa: B027 - most have nothing to learn
        """Learn how the execution went."""


def fault_by_chance(chance: random.Random, choices: Choices) -> int | None:
    """Index of a fault, now and then, where one can strike; None: an actor goes on. Every sampler draws this first."""
    actors, all_of_them = choices.actors, len(choices.alternatives)
    if not actors:
        return 0
    if actors < all_of_them and chance.random() < FAULT_CHANCE:
        return chance.randrange(actors, all_of_them)
    return None
