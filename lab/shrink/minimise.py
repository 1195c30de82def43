"""Makes a failing schedule smaller: fewer faults and breakpoints, then preemptions, actors at a time, switches, steps.

Only by running: a smaller schedule counts when it really broke the same thing, same checker and same invariant.

- Straightening. The same trace is written with as few preemptions as it can be; see `lab.analysis.straighten`.
- Shrinking. Delta debugging (Zeller and Hildebrandt 2002) over the decisions that are not 0: set a stretch of them to
  0, halve the stretch, begin anew after each success. A zero means "the actor that ran last goes on", so what is left
  are the switches that the failure needs. Then stretches of steps are moved together, which no zero can do.
- Searching. Shrinking ends where every way to a smaller schedule leads over a larger one. So afterwards every schedule
  with fewer preemptions is tried, those with none first, in the manner of iterative context bounding (Musuvathi and
  Qadeer 2007): a switch at an end or a wait is free. Deviation: of equally many preemptions, those schedules come first
  whose switches the failing one made too. When the search comes to its end within its executions, no schedule needs
  fewer preemptions, and `Minimised.least` says so. They are few: what the search finds, it finds soon, since the likely
  schedules come first; the rest would be spent on a proof that long programs never see the end of.
"""

from __future__ import annotations

import contextlib
import heapq
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, groupby, pairwise

from lab.analysis.straighten import straightened
from lab.model.decision import Decision, Go, Pause, Strike
from lab.model.record import ExecutionRecord, Finding
from lab.model.trace import Trace
from lab.schedulers.base import Scheduler
from lab.schedulers.guided import Guided, Wished

__all__ = ["BUDGET", "Minimised", "Run", "minimise"]

BUDGET = 400
"""Executions that one minimisation may spend; the shipped failures need 10 to 80."""
FOR_THE_END = 80
"""How many of them the search leaves for the shrinking of what it may find."""
SEARCH = 60
"""How many of them the search may spend."""
FARTHEST = 200
"""The search deviates in the first steps only; a schedule that runs on and on is not smaller."""
ELSEWHERE = 10
"""A preemption where the failing execution has no switch is as unlikely as so many free switches."""

Run = Callable[[Scheduler], Awaitable[ExecutionRecord]]
Indexes = tuple[int, ...]
"""The decisions of an execution, each as its place among the alternatives."""
Wish = tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Minimised:
    """The smallest failing execution that was found, and how many executions were spent on it."""

    record: ExecutionRecord
    executions: int
    least: bool = False
    """Every schedule with no more extras and fewer preemptions, or the other way round, was run: none breaks it."""
    late: bool = False
    """The time was over before it came to its end, so there may be a smaller one."""


async def minimise(
    found: ExecutionRecord, run: Run, *, budget: int = BUDGET, search: int = SEARCH, seconds: float = math.inf
) -> Minimised:
    """Shrink the schedule of a failing execution. `run` performs one execution of the same scenario.

    `budget` and `search` are executions, in all and for the search; no execution is begun after `seconds`.
    """
    minimisation = _Minimisation(found, run, time.monotonic() + seconds)
    least = False
    with contextlib.suppress(_BudgetSpentError):
        first = budget - min(FOR_THE_END, budget // 4)
        minimisation.limit = first
        await minimisation.shrink()
        minimisation.limit = min(first, minimisation.spent + search)
        proved = await minimisation.search()
        minimisation.limit = budget
        await minimisation.shrink()
        least = proved and not minimisation.unknown
    return Minimised(minimisation.best, minimisation.spent, least, minimisation.late)


class _BudgetSpentError(Exception):
    """No execution is left, or no time."""


class _Minimisation:
    """The state of one minimisation: the best so far, what was run, what may still be spent."""

    def __init__(self, found: ExecutionRecord, run: Run, until: float) -> None:
        self._take(found)
        self.spent = 0
        self.limit = 0
        self.late = False
        self.unknown = False
        """Of an execution it is not known whether it breaks the same: a check of it was not done."""
        self._until = until
        self._goal: Finding = found.findings[0]
        self._run = run
        self._known: dict[Indexes, Trace] = {_decisions(found.trace): found.trace}
        """The executions that were seen, by their decisions: none is run twice."""
        self._wishes: set[Wish] = {_wish(found.trace)}

    async def shrink(self) -> None:
        """Take the first candidate that is smaller, until none is. Raises when the budget is spent."""
        while await self._shrunk():
            pass

    async def _shrunk(self) -> bool:
        trace = self.best.trace
        straight = straightened(trace)
        if straight is not None and straight not in self._wishes:
            self._wishes.add(straight)
            if await self._improves(Wished(straight)):
                return True
        for candidate in _smaller(_decisions(trace)):
            if candidate not in self._known and await self._improves(Guided(candidate), candidate):
                return True
        for wish in _rearranged(trace):
            if wish not in self._wishes:
                self._wishes.add(wish)
                if await self._improves(Wished(wish)):
                    return True
        return False

    async def search(self) -> bool:
        """Try every schedule with fewer preemptions or faults, the fewest first. True if there is none left.

        A schedule is a prefix of decisions, followed by zeros. Each one that was run has children: the same up to some
        step behind the prefix, and another choice there. So each schedule is met once, and none is missed.
        """
        likely = _Likely(self.best.trace)
        queue: list[tuple[int, int, int, Indexes]] = [(0, 0, 0, ())]
        unavoidable = 0
        while queue:
            faults, preemptions, score, prefix = heapq.heappop(queue)
            if not self._would_be_fewer(faults, preemptions):
                continue
            trace = self._known.get(_trimmed(prefix))
            if trace is None:
                if self.spent >= self.limit:
                    return False
                await self._improves(Guided(prefix), prefix)
                trace = self._known[_trimmed(prefix)]
            if not prefix:
                unavoidable = trace.extras  # a crash that the scenario wants in every execution
            for index, child in _children(trace, len(prefix)):
                more_faults, more_preemptions = _cost(trace, index, child[-1])
                cost = max(faults + more_faults, unavoidable), preemptions + more_preemptions
                if self._would_be_fewer(*cost):
                    miss = likely.misses(trace, index, child[-1], preempts=more_preemptions > 0)
                    heapq.heappush(queue, (*cost, score + miss, child))
        return True

    def _would_be_fewer(self, faults: int, preemptions: int) -> bool:
        most_faults, most_preemptions = self._fewest
        return (
            faults <= most_faults
            and preemptions <= most_preemptions
            and (faults < most_faults or preemptions < most_preemptions)
        )

    def _take(self, record: ExecutionRecord) -> None:
        self.best = record
        self._fewest = record.trace.extras, record.trace.preemptions

    async def _improves(self, scheduler: Scheduler, decisions: Indexes | None = None) -> bool:
        """Run one candidate; whether it is the best now."""
        self.late = time.monotonic() >= self._until
        if self.late or self.spent >= self.limit:
            raise _BudgetSpentError
        self.spent += 1
        record = await self._run(scheduler)
        self.unknown |= bool(record.not_checked)
        self._known[_decisions(record.trace)] = record.trace
        if decisions is not None:
            self._known.setdefault(_trimmed(decisions), record.trace)
        self._wishes.add(_wish(record.trace))
        same = [finding for finding in record.findings if finding.key == self._goal.key]
        if not same or _size(record.trace) >= _size(self.best.trace):
            return False
        others = [finding for finding in record.findings if finding.key != self._goal.key]
        self._take(replace(record, findings=(*same, *others)))  # a report is headed by what the search was for
        return True


class _Likely:
    """The switches of the failing execution, as a measure for those of another schedule."""

    def __init__(self, trace: Trace) -> None:
        self._switches = set(_switches(trace))
        self._places = {(mover, done) for mover, done, _ in self._switches}

    def misses(self, trace: Trace, index: int, decision: int, *, preempts: bool) -> int:
        """0 for a switch of the failing execution, 1 for one at the same place or a free one, many for any other.

        A failure needs a preemption at few places, and the failing execution shows them. It is a weaker guide to who
        runs next where nobody has to be stopped.
        """
        if not index:
            return 0
        chosen = trace.steps[index].alternatives[decision]
        last = trace.steps[index - 1].mover
        done = sum(step.mover == last for step in trace.steps[:index])
        if (last, done, chosen) in self._switches:
            return 0
        return 1 if not preempts or (last, done) in self._places else ELSEWHERE


def _switches(trace: Trace) -> Iterator[tuple[Decision, int, Decision]]:
    """(who stopped, after how many steps of its own, who went on)."""
    done: dict[Decision, int] = {}
    for before, after in pairwise(trace):
        done[before.mover] = done.get(before.mover, 0) + 1
        if before.mover != after.mover:
            yield before.mover, done[before.mover], after.mover


def _children(trace: Trace, start: int) -> Iterator[tuple[int, Indexes]]:
    decisions = tuple(step.index for step in trace)
    for index in range(start, min(len(trace), FARTHEST)):
        for other in range(1, len(trace.steps[index].alternatives)):
            yield index, (*decisions[:index], other)


def _cost(trace: Trace, index: int, decision: int) -> tuple[int, int]:
    """What taking this decision instead of 0 costs: (faults and breakpoints, preemptions)."""
    alternatives = trace.steps[index].alternatives
    last = next((step.actor for step in reversed(trace.steps[:index]) if not step.is_fault), None)
    chosen = alternatives[decision]
    if isinstance(chosen, Strike):
        return 1, 0
    stays = isinstance(chosen, Pause) and chosen.actor == last
    return int(isinstance(chosen, Pause)), int(last is not None and alternatives[0] == Go(last) and not stays)


def _decisions(trace: Trace) -> Indexes:
    return _trimmed(step.index for step in trace)


def _wish(trace: Trace) -> Wish:
    return tuple(step.chosen for step in trace)


def _size(trace: Trace) -> tuple[int, int, int, int, int, Indexes]:
    """The sort key, smaller first: a preemption weighs more than any number of steps."""
    together = len(trace.overlapping)
    return trace.extras, trace.preemptions, together, trace.context_switches, len(trace), _decisions(trace)


def _smaller(decisions: Indexes) -> Iterator[Indexes]:
    """Candidates: long stretches of switches removed first, then single ones lowered, moved or dropped."""
    switches = [index for index, decision in enumerate(decisions) if decision]
    length = len(switches)
    while length:
        for start in range(0, len(switches), length):
            cut = set(switches[start : start + length])
            yield _trimmed(0 if index in cut else each for index, each in enumerate(decisions))
        length //= 2
    for index in switches:
        yield _trimmed((*decisions[:index], *decisions[index + 1 :]))
        for lower in range(1, decisions[index]):
            yield _trimmed((*decisions[:index], lower, *decisions[index + 1 :]))
    for index in switches:
        if index and not decisions[index - 1]:
            yield _trimmed((*decisions[: index - 1], decisions[index], 0, *decisions[index + 1 :]))


def _rearranged(trace: Trace) -> Iterator[Wish]:
    """Orders of steps: an actor after all others, or before them; two stretches of one actor made one."""
    wish = _wish(trace)
    for actor in sorted(trace.overlapping):
        own = tuple(each for each in wish if each == Go(actor))
        others = tuple(each for each in wish if each != Go(actor))
        yield others + own
        yield own + others
    runs = [tuple(group) for _, group in groupby(wish)]
    for first, run in enumerate(runs):
        for second in range(first + 2, len(runs)):
            if runs[second][0] == run[0]:
                before, between, after = runs[:first], runs[first + 1 : second], runs[second + 1 :]
                yield tuple(chain(*before, run, runs[second], *between, *after))
                yield tuple(chain(*before, *between, run, runs[second], *after))


def _trimmed(decisions: Iterable[int]) -> Indexes:
    kept = list(decisions)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)
