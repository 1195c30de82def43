"""Depth-first search by iterative preemption bound: every schedule exactly once, those with few preemptions first.

Most races need one or two preemptions, so all schedules without one are run first, then those with one, and so on
until none is left: then every interleaving was run and the search is exhaustive. Musuvathi, Qadeer: Iterative Context
Bounding for Systematic Testing of Multithreaded Programs, PLDI 2007.

A schedule is known by its last decision that is not 0: what precedes it is a schedule that was run before, what
follows are zeros, and zeros never preempt. So each execution opens the schedules that deviate from it once more, later
than it does itself; they wait in the stack of their number of preemptions. Nothing is run twice, unlike in the paper,
where each bound begins again.

Deviations: a fault or a breakpoint counts as a preemption, since it too is something that happens to a program that
runs on; a fault that must strike is not a choice. Of schedules that count the same, those with fewer preemptions come
first: one fault before one preemption, two faults before a fault and a preemption. A search that meets other choices
under the same decisions ends loudly: it could not claim to have run everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from lab.errors import Divergence
from lab.model.choices import Choices
from lab.model.trace import Trace
from lab.schedulers.base import Option, Scheduler
from lab.schedulers.course import Course, Shared
from lab.schedulers.guided import Guided

__all__ = ["DepthFirst"]

DECISIONS = "decisions"
"""What others make its executions from."""


@dataclass(frozen=True, slots=True)
class _Deviation:
    """A schedule still to run: as `decisions` up to `position`, `decision` there, zeros after."""

    decisions: tuple[int, ...]
    position: int
    decision: int
    cost: tuple[int, int]
    """Preemptions and faults together; the preemptions among them."""

    def at(self, step: int) -> int:
        if step == self.position:
            return self.decision
        return self.decisions[step] if step < min(self.position, len(self.decisions)) else 0

    def course(self, execution: int) -> Course:
        decisions = [self.at(step) for step in range(self.position + 1)]
        return Course(repr(decisions), execution, {DECISIONS: decisions})


START = _Deviation((), -1, 0, (0, 0))


class DepthFirst(Scheduler, Shared):
    """Enumerates the schedules of a scenario; with `preemptions`, those with so many at most."""

    name = "dfs"
    summary = "every schedule, those with few preemptions first"
    by_chance = False
    options = (Option("preemptions", "how many at most"),)

    def __init__(self, seed: int = 0, *, preemptions: int | None = None) -> None:
        super().__init__(seed)
        self._most = preemptions
        self._waiting: defaultdict[tuple[int, int], list[_Deviation]] = defaultdict(list, {START.cost: [START]})
        """Those to run, by what they cost; of each the last one is next."""
        self._current: _Deviation | None = None
        self._taken: list[int] = []
        self._opened: list[_Deviation] = []

    @property
    def bound(self) -> int | None:
        """Schedules with fewer preemptions and faults than this were all run; None: there are no others."""
        if self._current is not None:
            return self._current.cost[0]
        least = self._least
        return None if least is None else least[0]

    @property
    def _least(self) -> tuple[int, int] | None:
        return min((cost for cost, waiting in self._waiting.items() if waiting), default=None)

    @property
    def complete(self) -> bool:
        """Whether every schedule was run."""
        return self.bound is None

    def courses(self, execution: int) -> Iterator[Course]:
        """Those that wait with as few preemptions as the next one; what they open comes in between."""
        if self._current is None and not self._is_over:
            yield from (each.course(execution) for each in reversed(self._waiting[self._least or START.cost]))

    def follower(self, course: Course) -> Scheduler:
        """Its decisions, then zeros."""
        return Guided(course.plan[DECISIONS])

    @staticmethod
    def has_foreseen(course: Course) -> bool:
        """Whether an execution was foreseen by such a search."""
        return DECISIONS in course.plan

    @property
    def _is_over(self) -> bool:
        bound = self.bound
        return bound is None or (self._most is not None and bound > self._most)

    def begin(self, execution: int) -> bool:
        """The next schedule; one that was broken off comes again. Over when none is left within the bound."""
        if self._current is None:
            if self._is_over:
                return False
            self._current = self._waiting[self._least or START.cost].pop()
        self._taken, self._opened = [], []
        return True

    def choose(self, choices: Choices) -> int:
        """The schedule's decision. Raises `Divergence` if it does not fit any more."""
        current = self._current
        assert current is not None, "an execution was begun"
        step, number = len(self._taken), len(choices.alternatives)
        decision = current.at(step)
        if decision >= number:
            raise Divergence(
                f"diverged at step {step + 1}: an execution with the same decisions had more than {number} choices "
                "here; what the scenario does depends on more than its schedule, so it cannot be searched exhaustively"
            )
        if step > current.position:
            preempts = choices.last_goes_on
            for other in range(number - 1, 0, -1):
                extra, (cost, preemptions) = choices.alternatives[other].is_extra, current.cost
                more = cost + (preempts or extra), preemptions + (preempts and not extra)
                self._opened.append(_Deviation((), step, other, more))
        self._taken.append(decision)
        return decision

    def end(self, trace: Trace) -> None:
        """Keep what deviates from this execution."""
        assert self._current is not None, "an execution was begun"
        decisions = tuple(self._taken[: self._current.position + 1])
        for each in self._opened:
            self._waiting[each.cost].append(_Deviation(decisions, each.position, each.decision, each.cost))
        self._current = None
