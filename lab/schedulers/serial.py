"""Serial runs: each actor goes on until it ends or waits, in every order of the actors, then stop.

These are the executions without preemption. They find what breaks without any concurrency, and they are
the yardstick for everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, permutations

from lab.model.choices import Choices
from lab.model.trace import ActionKind, Trace
from lab.schedulers.base import Scheduler

__all__ = ["InOrder", "Serial"]


class Serial(Scheduler):
    """Runs the actors one after the other, once for each order."""

    name = "serial"
    summary = "the actors one after the other, in every order"
    by_chance = False

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._actors: tuple[str, ...] | None = None
        self._number = 0
        """Of the order that was run last, among all. An iterator would do, but for being held until another day."""
        self._order: tuple[str, ...] = ()

    def begin(self, execution: int) -> bool:
        """The first execution takes the order of declaration; over when every order was run."""
        if self._actors is None:
            return True
        self._number += 1
        self._order = next(islice(permutations(self._actors), self._number, None), ())
        return bool(self._order)

    def choose(self, choices: Choices) -> int:
        """The actor that ran last, else the first one of the order."""
        names = choices.names
        if choices.last_goes_on or not names:
            return 0
        rank = {name: position for position, name in enumerate(self._order)}
        return min(range(len(names)), key=lambda index: rank.get(names[index], len(rank)))

    def end(self, trace: Trace) -> None:
        """Learn from the first execution who the actors are: one may have been stalled when the others began."""
        if self._actors is None:
            self._actors = trace.actors  # the order of declaration, which has just been run


class InOrder(Scheduler):
    """Runs the actors one after the other in one given order, each with the tasks that it starts.

    Where that an actor begins is a decision, those of `begin` do so one after the other, as soon as so many decisions
    (`at`) were made.
    """

    def __init__(self, order: Sequence[str], *, begin: Sequence[str] = (), at: int = 0) -> None:
        super().__init__()
        self._rank = {name: place for place, name in enumerate(order)}
        self._begin, self._at = tuple(begin), at

    def begin(self, execution: int) -> bool:
        """The same order each time."""
        return True

    def choose(self, choices: Choices) -> int:
        """The first one of the order that is runnable; of an actor and its tasks, the one that ran last."""
        names = [each.partition("/")[0] for each in choices.names]
        if not names:
            return 0
        starting = [each.actor for each in choices.alternatives if each.action.kind is ActionKind.START]
        for name in self._begin if choices.step >= self._at else ():
            if name in starting:
                return choices.names.index(name)
        return min(range(len(names)), key=lambda index: (self._rank.get(names[index], len(self._rank)), index))
