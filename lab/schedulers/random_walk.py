"""Uniform random walk: every runnable actor is equally likely at every step.

Each execution draws from a generator of its own, seeded by (seed, number of the execution). So any part of
a hunt can run anywhere, on any number of workers, and gives the same executions.
"""

from __future__ import annotations

import random

from lab.model.choices import Choices
from lab.model.trace import Trace
from lab.schedulers.base import fault_by_chance

__all__ = ["RandomWalk"]


class RandomWalk:
    """Chooses uniformly among the runnable actors."""

    sampled = True

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random()

    def begin(self, execution: int) -> bool:
        """Never over: a random walk samples, it does not enumerate."""
        self._random.seed(f"{self._seed}:{execution}")
        return True

    def choose(self, choices: Choices) -> int:
        """A uniform index among the actors; now and then, where faults can strike, among those."""
        index = fault_by_chance(self._random, choices)
        return self._random.randrange(choices.actors) if index is None else index

    def end(self, trace: Trace) -> None:
        """Nothing to learn."""
