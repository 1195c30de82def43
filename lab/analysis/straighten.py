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
from lab.model.trace import Trace

__all__ = ["straightened"]

MOST_STATES = 2000
"""States that are looked at; the shipped scenarios need at most some hundred."""
LONGEST = 400
"""Steps of a trace that is looked at, since the order of steps takes quadratic time."""
PREEMPTION = 1000

Progress = tuple[int, ...]
"""How many steps each actor has taken."""


def straightened(trace: Trace) -> tuple[str, ...] | None:
    """The decisions in the order of such a trace's steps; None if none was found within the states allowed."""
    if len(trace) > LONGEST:
        return None
    program = _Program(trace)
    tie = count()
    queue: list[tuple[int, int, Progress, str, tuple[str, ...]]] = [(0, next(tie), program.start, "", ())]
    seen: set[tuple[Progress, str]] = set()
    while queue and len(seen) < MOST_STATES:
        cost, _, progress, last, order = heapq.heappop(queue)
        if progress == program.end:
            return program.decisions(order)
        if (progress, last) in seen:
            continue
        seen.add((progress, last))
        for name, after in program.stretches(progress):
            if name != last:
                steps = sum(after) - sum(progress)
                more = 1 + PREEMPTION * program.can_go_on(last, progress)
                heapq.heappush(queue, (cost + more, next(tie), after, name, (*order, *[name] * steps)))
    return None


class _Program:
    """The steps of a trace, actor by actor."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        before = HappensBefore(trace.steps).before
        self._past = [sum(1 << each for each in range(at) if before(each, at)) for at in range(len(trace))]
        """Step -> the steps that had to come before it, as a set of bits."""
        self._names = tuple(dict.fromkeys(step.actor for step in trace))
        self._own = [[at for at, step in enumerate(trace) if step.actor == name] for name in self._names]
        self.start: Progress = (0,) * len(self._names)
        self.end: Progress = tuple(map(len, self._own))

    def stretches(self, progress: Progress) -> Iterator[tuple[str, Progress]]:
        """Who can take a step, and how far all are once it has gone as far as it can."""
        taken = sum(1 << at for own, number in zip(self._own, progress, strict=True) for at in own[:number])
        for index, name in enumerate(self._names):
            steps, mine = progress[index], taken
            for at in self._own[index][steps:]:
                if self._past[at] & ~mine:
                    break
                mine |= 1 << at
                steps += 1
            if steps > progress[index]:
                yield name, (*progress[:index], steps, *progress[index + 1 :])

    def decisions(self, order: tuple[str, ...]) -> tuple[str, ...]:
        """The order with each step named as it was chosen: a pause belongs to its step."""
        left = {name: iter(own) for name, own in zip(self._names, self._own, strict=True)}
        return tuple(self._trace.steps[next(left[name])].chosen for name in order)

    def can_go_on(self, name: str, progress: Progress) -> bool:
        """Whether an actor that stopped here was stopped: it has neither ended nor begun to wait."""
        if not name:
            return False
        index = self._names.index(name)
        taken = progress[index]
        return 0 < taken < len(self._own[index]) and self._trace.steps[self._own[index][taken - 1]].wait is None
