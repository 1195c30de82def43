"""Feedback: mutates schedules that showed a new trace, as a greybox fuzzer mutates inputs that reached new code.

A schedule is kept if its trace was new, up to the order of independent steps (see `novelty`). One that was seldom taken
is taken more often; a stretch of it is moved, an actor's step is put off, or its end is drawn anew. What is left of it
is followed by the names of the actors, as far as they are runnable. AFL (Zalewski 2013) is the model; for schedules
Wolff, Shi, Duck, Mathur, Roychoudhury: Greybox Fuzzing for Concurrency Testing, ASPLOS 2024.

Deviations: novelty is that of whole traces, not of pairs of a write and a read; energy falls with the number of times
that a schedule was taken, nothing else; a share of executions is plain random walk throughout, so that what cannot be
reached by small changes is not lost. An execution depends on those before it, so no execution is an independent sample.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.model.choices import Choices
from lab.model.decision import Go, Pause, Strike
from lab.model.decision_text import decision_of, decision_text
from lab.model.trace import Trace
from lab.schedulers.base import Scheduler, fault_by_chance
from lab.schedulers.course import Course, Shared
from lab.schedulers.novelty import Seen

__all__ = ["Feedback"]

FRESH = 0.2
"""Share of executions that follow no earlier one."""
WINDOW = 50
"""So many of the last executions say how often a trace is new now."""
KEPT = 500
"""Schedules kept at most; beyond that, the one that was taken most often is dropped."""


@dataclass(slots=True, eq=False)
class _Kept:
    movers: tuple[Go | Strike, ...]
    taken: int = 0


class Feedback(Scheduler, Shared):
    """Walks at random, and along mutated schedules."""

    name = "feedback"
    summary = "changes schedules that showed a new trace"

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._random = random.Random()
        self._seen = Seen()
        self._kept: list[_Kept] = []
        self._wished: list[Go | Strike] = []
        self._step = 0
        self._new: deque[bool] = deque(maxlen=WINDOW)
        """Of the last executions, whether they showed a new trace."""
        self._parent: _Kept | None = None
        """That of the execution that was begun, until it has ended."""

    def begin(self, execution: int) -> bool:
        """Never over. An execution that was broken off comes again."""
        if self._parent is not None:
            self._parent.taken -= 1
        self._step = 0
        self._wished = []
        self._parent = self._drawn(execution, [each.taken for each in self._kept])
        if self._parent is not None:
            self._parent.taken += 1
            self._wished = self._mutated(list(self._parent.movers))
        return True

    def _drawn(self, execution: int, taken: Sequence[int]) -> _Kept | None:
        """The schedule that an execution follows, when each was taken so often; None: none."""
        self._random.seed(f"{self._seed}:{execution}")
        if not self._kept or self._random.random() < FRESH:
            return None
        return self._random.choices(self._kept, [1 / (1 + each) for each in taken])[0]

    def courses(self, execution: int) -> Iterator[Course]:
        """What follows as long as no trace is new: as many as there were between two new ones, lately."""
        taken = [each.taken for each in self._kept]
        for number in range(execution, execution + 1 + len(self._new) // (1 + sum(self._new))):
            parent = self._drawn(number, taken)
            movers = [] if parent is None else list(map(decision_text, parent.movers))
            if parent is not None:
                taken[self._kept.index(parent)] += 1
            yield Course(f"{number} {movers}", number, {"kept": bool(self._kept), "movers": movers})

    def follower(self, course: Course) -> Scheduler:
        """One that has kept that schedule alone, if any: it draws the same."""
        other = Feedback(self._seed)
        if course.plan["kept"]:
            movers = (decision_of(each) for each in course.plan["movers"])
            other._kept = [_Kept(tuple(each for each in movers if not isinstance(each, Pause)))]
        return other

    def choose(self, choices: Choices) -> int:
        """The actor that is wished for, if it is runnable; beyond the wishes a random walk."""
        if self._step < len(self._wished):
            wished = self._wished[self._step]
            self._step += 1
            decisions = choices.decisions
            return decisions.index(wished) if wished in decisions else 0
        index = fault_by_chance(self._random, choices)
        return self._random.randrange(choices.actors) if index is None else index

    def end(self, trace: Trace) -> None:
        """Keep the schedule of a new trace."""
        self._parent = None
        self._new.append(self._seen.add(trace))
        if self._new[-1]:
            if len(self._kept) >= KEPT:
                self._kept.remove(max(self._kept, key=lambda each: each.taken))
            self._kept.append(_Kept(tuple(step.mover for step in trace)))

    def _mutated(self, movers: list[Go | Strike]) -> list[Go | Strike]:
        """One to four changes (AFL stacks them too): move a stretch, put a step off, cut the end."""
        for _ in range(self._random.choice((1, 1, 2, 4))):
            if not movers:
                break
            at = self._random.randrange(len(movers))
            how = self._random.randrange(3)
            if how == 0:
                stretch = movers[at : at + self._random.randint(1, 4)]
                del movers[at : at + len(stretch)]
                to = self._random.randint(0, len(movers))
                movers[to:to] = stretch
            elif how == 1:
                later = [index for index in range(at + 1, len(movers)) if movers[index] != movers[at]]
                if later:
                    movers.insert(later[0], movers.pop(at))
            else:
                del movers[at:]
        return movers
