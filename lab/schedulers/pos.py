"""POS, partial order sampling: random priorities for pending steps, drawn anew by every step that conflicts with them.

Each pending step has a priority of its own, uniform; the highest is taken. Then the pending steps that depend on the
one just taken draw new priorities, so that the orders of later conflicts are chosen independently of earlier ones.
What does not conflict keeps its place: no chance is spent on orders that make no difference. Yuan, Yang, Gu: Partial
Order Aware Concurrency Sampling, CAV 2018.

Deviations: which steps conflict is as much as `lab.analysis.dependence` knows before they are taken; a step that ends
in a lock wait counts as taken, and the wake-up is a pending step of its own, with a new priority; faults strike with
the chance that they have everywhere, and conflict with every pending step.
"""

from __future__ import annotations

import random

from lab.analysis.dependence import Move, dependent
from lab.model.choices import Alternative, Choices
from lab.schedulers.base import Scheduler, fault_by_chance
from lab.schedulers.course import Samples

__all__ = ["PartialOrderSampling"]


class PartialOrderSampling(Scheduler, Samples):
    """Takes the pending step of the highest priority."""

    name = "pos"
    summary = "random priorities, drawn anew by every step that conflicts"
    independent = True
    prologue = 0

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._random = random.Random()
        self._priorities: dict[str, float] = {}
        """Of the pending step of each actor that was seen runnable."""

    def begin(self, execution: int) -> bool:
        """Never over."""
        self._random.seed(f"{self._seed}:{execution}")
        self._priorities.clear()
        return True

    def choose(self, choices: Choices) -> int:
        """The actor whose pending step has the highest priority; now and then a fault."""
        actors = choices.alternatives[: choices.actors]
        for each in actors:
            if each.actor not in self._priorities:
                self._priorities[each.actor] = self._random.random()
        index = fault_by_chance(self._random, choices)
        if index is not None:
            self._priorities.clear()
            return index
        taken = max(actors, key=lambda each: self._priorities[each.actor])
        step = _move(taken)
        for each in actors:
            if each is taken or dependent(step, _move(each)):
                del self._priorities[each.actor]
        return actors.index(taken)


def _move(alternative: Alternative) -> Move:
    return Move.of(alternative.actor, alternative.action)
