"""The same trace, written with as few preemptions as it can be. Pure: a guess that others then try.

Orders of steps that keep every two dependent steps as they are belong to one trace, so they break the same. Among them
one is looked for in which actors run in long stretches. Once an actor runs, it runs on until its next step has to come
after a step of another that was not taken yet: going on never forbids anything to the others, since what depends on
the step comes after it in any case. So only who runs next is to be chosen, and the cheapest choices are found with
Dijkstra's algorithm (1959), a preemption weighing more than any number of other switches.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

from lab.analysis.happens_before import HappensBefore
from lab.analysis.normal_form import LONGEST
from lab.model.decision import Decision, Go, Strike
from lab.model.trace import Trace

__all__ = ["straightened"]

MOST_STATES = 2000
"""States that are looked at; the shipped scenarios need at most some hundred."""
PREEMPTION = 1000

Progress = tuple[int, ...]
"""How many steps each actor has taken."""
Mover = Go | Strike


def straightened(trace: Trace) -> tuple[Decision, ...] | None:
    """The decisions in the order of such a trace's steps; None if none was found within the states allowed."""
    if len(trace) > LONGEST:
        return None
    program = _Program(trace)
    tie = count()
    queue: list[tuple[int, int, Progress, Mover | None, tuple[Mover, ...]]] = [(0, next(tie), program.start, None, ())]
    seen: set[tuple[Progress, Mover | None]] = set()
    while queue and len(seen) < MOST_STATES:
        cost, _, progress, last, order = heapq.heappop(queue)
        if progress == program.end:
            return program.decisions(order)
        if (progress, last) in seen:
            continue
        seen.add((progress, last))
        for mover, after in program.stretches(progress):
            if mover != last:
                steps = sum(after) - sum(progress)
                more = 1 + PREEMPTION * program.can_go_on(last, progress)
                heapq.heappush(queue, (cost + more, next(tie), after, mover, (*order, *[mover] * steps)))
    return None


class _Program:
    """The steps of a trace, actor by actor."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        before = HappensBefore(trace.steps).before
        self._past = [sum(1 << each for each in range(at) if before(each, at)) for at in range(len(trace))]
        """Step -> the steps that had to come before it, as a set of bits."""
        self._movers = tuple(dict.fromkeys(step.mover for step in trace))
        self._own = [[at for at, step in enumerate(trace) if step.mover == mover] for mover in self._movers]
        self.start: Progress = (0,) * len(self._movers)
        self.end: Progress = tuple(map(len, self._own))

    def stretches(self, progress: Progress) -> Iterator[tuple[Mover, Progress]]:
        """Who can take a step, and how far all are once it has gone as far as it can."""
        taken = sum(1 << at for own, number in zip(self._own, progress, strict=True) for at in own[:number])
        for index, mover in enumerate(self._movers):
            steps, mine = progress[index], taken
            for at in self._own[index][steps:]:
                if self._past[at] & ~mine:
                    break
                mine |= 1 << at
                steps += 1
            if steps > progress[index]:
                yield mover, (*progress[:index], steps, *progress[index + 1 :])

    def decisions(self, order: tuple[Mover, ...]) -> tuple[Decision, ...]:
        """The order with each step as it was chosen: a pause belongs to its step."""
        left = {mover: iter(own) for mover, own in zip(self._movers, self._own, strict=True)}
        return tuple(self._trace.steps[next(left[mover])].chosen for mover in order)

    def can_go_on(self, mover: Mover | None, progress: Progress) -> bool:
        """Whether an actor that stopped here was preempted: it has neither ended nor begun to wait."""
        if mover is None:
            return False
        index = self._movers.index(mover)
        taken = progress[index]
        return 0 < taken < len(self._own[index]) and self._trace.steps[self._own[index][taken - 1]].wait is None
