"""PCT, probabilistic concurrency testing: random priorities, lowered at few random steps.

The runnable actor of the highest priority goes on. At depth - 1 steps, drawn beforehand, the one that would go on
falls below all others. A bug that needs `depth` ordering constraints among n actors with k steps together is found
with a chance of at least 1 / (n * k ** (depth - 1)) in each execution: few preemptions, at places that no local choice
prefers. Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic Guarantees of Finding
Bugs, ASPLOS 2010.

Deviations: k is measured in one serial run (see `lengths`), which is execution 0 and not a sample, and is exceeded
where actors wait or retry; the first step is not a point of change, since priorities were drawn just before it; points
differ from one another; a task that is started later draws its priority when it is first seen.

Fair: PCT starves, so two actors that wait for each other in loops would never end. Our reading of its fair variant: an
actor that takes more steps in a row than `PATIENCE` times all actors took in the serial run makes no progress, and
falls below all others.
"""

from __future__ import annotations

import random

from lab.model.choices import Choices
from lab.model.trace import Trace
from lab.schedulers.base import Option, Scheduler, fault_by_chance
from lab.schedulers.course import Samples
from lab.schedulers.lengths import Lengths

__all__ = ["PCT"]

DEPTH = 3
"""Ordering constraints where no number is given, and in the portfolio."""
PATIENCE = 2
UNMEASURED = 32
"""Steps of an execution where no serial run was made: what a scenario of two or three actors takes."""


class PCT(Scheduler, Samples):
    """Follows random priorities with `depth` - 1 points of change."""

    name = "pct"
    summary = "random priorities, lowered at few random steps"
    options = (Option("depth", "ordering constraints", least=1, default=DEPTH),)
    independent = True
    prologue = 0

    def __init__(self, seed: int = 0, *, depth: int = DEPTH) -> None:
        super().__init__(seed)
        assert depth >= 1, "a bug needs one ordering constraint at least"
        self._depth = depth
        self._random = random.Random()
        self._lengths = Lengths()
        self._priorities: dict[str, float] = {}
        self._changes: dict[int, int] = {}
        """Step -> the priority that its actor falls to. Which is lowest does not depend on which comes first."""
        self._lower = 0
        """The priority of the next actor that has gone on for too long."""
        self._run = ("", 0)
        """The actor that goes on, and for how many steps in a row."""
        self._measuring = True

    @property
    def sampled(self) -> bool:
        """Every execution but the one that measures."""
        return not self._measuring

    @property
    def calibrated(self) -> bool:
        """Whether execution 0 was run."""
        return self._lengths.known

    @property
    def _steps(self) -> int:
        return max(1, self._lengths.total) if self._lengths.known else UNMEASURED

    def begin(self, execution: int) -> bool:
        """Never over. Execution 0 is the serial run that measures the number of steps."""
        self._measuring = not execution
        self._random.seed(f"{self._seed}:{execution}")
        self._priorities.clear()
        places = range(1, self._steps)
        points = self._random.sample(places, min(self._depth - 1, len(places)))
        self._changes = {point: -number for number, point in enumerate(points, 1)}
        self._lower = -self._depth
        self._run = ("", 0)
        return True

    def choose(self, choices: Choices) -> int:
        """The actor of the highest priority; now and then a fault."""
        if self._measuring:
            return 0
        names = choices.names[: choices.actors]
        for name in names:
            if name not in self._priorities:
                self._priorities[name] = self._random.random()
        index = fault_by_chance(self._random, choices)
        if index is not None:
            return index
        first = max(names, key=self._priorities.__getitem__)
        if choices.step in self._changes:
            self._priorities[first] = self._changes[choices.step]
        elif self._run[0] == first and self._run[1] >= PATIENCE * self._steps:
            self._priorities[first] = self._lower
            self._lower -= 1
        first = max(names, key=self._priorities.__getitem__)
        self._run = (first, self._run[1] + 1 if self._run[0] == first else 1)
        return names.index(first)

    def end(self, trace: Trace) -> None:
        """Learn the number of steps from execution 0."""
        if self._measuring:
            self._lengths.learn(trace)
