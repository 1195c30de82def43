"""Uniform random walk: every runnable actor is equally likely at every step.

Each execution draws from a generator of its own, seeded by (seed, number of the execution). So any part of
a hunt can run anywhere, on any number of workers, and gives the same executions.
"""

from __future__ import annotations

import random

from lab.model.choices import Choices
from lab.schedulers.base import Scheduler, fault_by_chance
from lab.schedulers.course import Samples

__all__ = ["RandomWalk"]


class RandomWalk(Scheduler, Samples):
    """Chooses uniformly among the runnable actors."""

    name = "random"
    summary = "every runnable actor equally likely at every step"
    independent = True
    prologue = 0

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._random = random.Random()

    def begin(self, execution: int) -> bool:
        """Never over: a random walk samples, it does not enumerate."""
        self._random.seed(f"{self._seed}:{execution}")
        return True

    def choose(self, choices: Choices) -> int:
        """A uniform index among the actors; now and then, where faults can strike, among those."""
        index = fault_by_chance(self._random, choices)
        return self._random.randrange(choices.actors) if index is None else index
