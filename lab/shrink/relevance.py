"""What a minimised failure needed and what it did not: take one thing away, run again, see if the same still breaks.

This is how an experiment finds a cause: the preemption without which nothing breaks is one; two steps whose order can
be turned without a difference show the reader where not to look. What was not run is not claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from lab.model.decision import Decision, Go
from lab.model.record import ExecutionRecord, Relevance
from lab.model.trace import Trace
from lab.schedulers.guided import Wished
from lab.shrink.minimise import Run

__all__ = ["BUDGET", "relevance"]

BUDGET = 40
"""Executions that may be spent on one failure; the shipped ones need 2 to 15."""

Wish = tuple[Decision, ...]


async def relevance(record: ExecutionRecord, run: Run, *, budget: int = BUDGET) -> Relevance:
    """Try what the first finding of a failing execution needs. `run` performs one execution of the same scenario."""
    trials = _Trials(record, run, budget)
    preemptions = [before for before, wishes in _without_preemption(record.trace) if await trials.needed(wishes)]
    faults = [number for number, wish in _without_fault(record.trace) if await trials.cured(wish)]
    bystanders = [name for name, wishes in _elsewhere(record.trace) if await trials.same_in_all(wishes)]
    swaps = [(step, step + 1) for step in _swappable(record.trace, bystanders) if await trials.same_when_swapped(step)]
    return Relevance(tuple(preemptions), tuple(faults), tuple(swaps), tuple(bystanders), trials.spent)


class _Trials:
    """Runs other orders of the steps of one failing execution, each at most once and so many in all."""

    def __init__(self, record: ExecutionRecord, run: Run, budget: int) -> None:
        self._trace = record.trace
        self._goal = record.findings[0].key
        self._run = run
        self._budget = budget
        self._done: dict[Wish, ExecutionRecord] = {_wish(record.trace): record}
        self.spent = 0

    async def _try(self, wish: Wish) -> ExecutionRecord | None:
        if wish not in self._done:
            if self.spent >= self._budget:
                return None
            self.spent += 1
            self._done[wish] = await self._run(Wished(wish))
        return self._done[wish]

    def _breaks(self, record: ExecutionRecord) -> bool:
        return self._goal in {finding.key for finding in record.findings}

    async def needed(self, wishes: list[Wish]) -> bool:
        """Whether nothing breaks in the first of these orders that really has fewer preemptions."""
        for wish in wishes:
            record = await self._try(wish)
            if record is not None and record.trace.preemptions < self._trace.preemptions:
                return not self._breaks(record)
        return False

    async def cured(self, wish: Wish) -> bool:
        """Whether nothing breaks in this order."""
        record = await self._try(wish)
        return record is not None and not self._breaks(record)

    async def same_in_all(self, wishes: list[Wish]) -> bool:
        """Whether each of these orders could be run as it is and breaks the same."""
        for wish in wishes:
            record = await self._try(wish)
            if record is None or _wish(record.trace) != wish or not self._breaks(record):
                return False
        return True

    async def same_when_swapped(self, step: int) -> bool:
        """Whether this step and the next one could be taken in the other order, and the same breaks."""
        wish = _wish(self._trace)
        wish = (*wish[: step - 1], wish[step], wish[step - 1], *wish[step + 1 :])
        record = await self._try(wish)
        return record is not None and _wish(record.trace)[: step + 1] == wish[: step + 1] and self._breaks(record)


def _wish(trace: Trace) -> Wish:
    return tuple(step.chosen for step in trace)


def _without_preemption(trace: Trace) -> Iterator[tuple[int, list[Wish]]]:
    """For each preemption: the step after which it comes, and orders in which the preempted actor goes on at once."""
    wish = _wish(trace)
    for index, step in enumerate(trace):
        if step.preempted:
            last = max(each.number for each in trace.steps[:index] if each.actor == step.preempted)
            later = [at for at in range(index, len(wish)) if wish[at] == Go(step.preempted)]
            stretch = [at for place, at in enumerate(later) if at - later[0] == place]
            yield last, [_moved(wish, stretch, index), _moved(wish, later, index)]


def _moved(wish: Wish, chosen: list[int], to: int) -> Wish:
    """The decisions at these positions taken out and put before position `to`, which is no later than any of them."""
    rest = tuple(each for at, each in enumerate(wish) if at >= to and at not in chosen)
    return (*wish[:to], *(wish[at] for at in chosen), *rest)


def _without_fault(trace: Trace) -> Iterator[tuple[int, Wish]]:
    wish = _wish(trace)
    for index, step in enumerate(trace):
        if step.is_fault:
            yield step.number, (*wish[:index], *wish[index + 1 :])


def _elsewhere(trace: Trace) -> Iterator[tuple[str, list[Wish]]]:
    """For each actor that runs alone while others do not: the orders in which it is the first or the last of all."""
    if not trace.overlapping:
        return
    wish = _wish(trace)
    for mover, stretch in [(mover, tuple(group)) for mover, group in groupby(wish)]:
        if isinstance(mover, Go) and mover.actor in trace.actors and mover.actor not in trace.overlapping:
            others = tuple(other for other in wish if other != mover)
            yield mover.actor, [stretch + others, others + stretch]


def _swappable(trace: Trace, bystanders: Sequence[str]) -> Iterator[int]:
    """The steps that end a stretch, if the next one's actor could have gone before and both have a part in it."""
    for step, following in zip(trace.steps, trace.steps[1:], strict=False):
        turned = step.mover != following.mover and following.mover in step.alternatives
        if turned and {step.actor, following.actor}.isdisjoint(bystanders):
            yield step.number
