"""URW, the uniform random walk over interleavings: an actor is chosen in proportion to the steps it still has.

A plain random walk prefers some interleavings by far: of an actor with two steps and one with ten, the first is mostly
done after four decisions. With weights by remaining steps all interleavings are equally likely, as long as the number
of steps is known and no actor waits. Zhao, Wolff, Mathur, Roychoudhury: Selectively Uniform Concurrency Testing,
ASPLOS 2025.

Deviations: the lengths come from one serial run (see `lengths`), which is execution 0 and not a sample; an actor with
more steps than estimated keeps weight 1; a step is any scheduling point, not a selected event; faults strike with the
chance that they have everywhere, before an actor is drawn.
"""

from __future__ import annotations

import random
from collections import Counter

from lab.model.choices import Choices
from lab.model.trace import Trace
from lab.schedulers.base import Scheduler, fault_by_chance
from lab.schedulers.course import Samples
from lab.schedulers.lengths import Lengths

__all__ = ["UniformRandomWalk"]


class UniformRandomWalk(Scheduler, Samples):
    """Chooses an actor by the steps that it and its tasks have before them."""

    name = "urw"
    summary = "every interleaving equally likely, by the lengths of one serial run"
    independent = True
    prologue = 0

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._random = random.Random()
        self._lengths = Lengths()
        self._taken: Counter[str] = Counter()
        self._measuring = True

    @property
    def sampled(self) -> bool:
        """Every execution but the one that measures."""
        return not self._measuring

    @property
    def calibrated(self) -> bool:
        """Whether execution 0 was run."""
        return self._lengths.known

    def begin(self, execution: int) -> bool:
        """Never over. Execution 0 is the serial run that measures the lengths."""
        self._measuring = not execution
        self._taken.clear()
        self._random.seed(f"{self._seed}:{execution}")
        return True

    def choose(self, choices: Choices) -> int:
        """An actor, weighted by its remaining steps; now and then a fault."""
        if self._measuring:
            return 0
        index = fault_by_chance(self._random, choices)
        if index is None:
            actors = choices.names[: choices.actors]
            for name in actors:
                self._taken[name] += 0  # an actor that can be chosen was started
            weights = [self._lengths.left(name, self._taken) for name in actors]
            index = self._random.choices(range(len(actors)), weights)[0]
            self._taken[actors[index]] += 1
        return index

    def end(self, trace: Trace) -> None:
        """Learn the lengths from execution 0."""
        if self._measuring:
            self._lengths.learn(trace)
