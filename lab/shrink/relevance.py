"""What a minimised failure needed and what not: take one thing away, run again, see whether the same still breaks.

This is how an experiment finds a cause: the preemption without which nothing breaks is one; two steps whose order can
be turned without a difference tell the reader where not to look. What was not run is not claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from lab.model.record import ExecutionRecord, Relevance
from lab.model.trace import ActionKind, Trace
from lab.schedulers.guided import Wished
from lab.shrink.minimise import Run

__all__ = ["BUDGET", "relevance"]

BUDGET = 40
"""Executions that may be spent on one failure; the shipped ones need 2 to 15."""

Names = tuple[str, ...]


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
        self._done: dict[Names, ExecutionRecord] = {_names(record.trace): record}
        self.spent = 0

    async def _try(self, wish: Names) -> ExecutionRecord | None:
        if wish not in self._done:
            if self.spent >= self._budget:
                return None
            self.spent += 1
            scheduler = Wished(wish)
            scheduler.begin(0)
            self._done[wish] = await self._run(scheduler)
        return self._done[wish]

    def _breaks(self, record: ExecutionRecord) -> bool:
        return self._goal in {finding.key for finding in record.findings}

    async def needed(self, wishes: list[Names]) -> bool:
        """Whether nothing breaks in the first of these orders that really has fewer preemptions."""
        for wish in wishes:
            record = await self._try(wish)
            if record is not None and record.trace.preemptions < self._trace.preemptions:
                return not self._breaks(record)
        return False

    async def cured(self, wish: Names) -> bool:
        """Whether nothing breaks in this order."""
        record = await self._try(wish)
        return record is not None and not self._breaks(record)

    async def same_in_all(self, wishes: list[Names]) -> bool:
        """Whether each of these orders could be run as it is and breaks the same."""
        for wish in wishes:
            record = await self._try(wish)
            if record is None or _names(record.trace) != wish or not self._breaks(record):
                return False
        return True

    async def same_when_swapped(self, step: int) -> bool:
        """Whether this step and the next one could be taken in the other order, and the same breaks."""
        names = _names(self._trace)
        wish = (*names[: step - 1], names[step], names[step - 1], *names[step + 1 :])
        record = await self._try(wish)
        return record is not None and _names(record.trace)[: step + 1] == wish[: step + 1] and self._breaks(record)


def _names(trace: Trace) -> Names:
    return tuple(step.chosen for step in trace)


def _without_preemption(trace: Trace) -> Iterator[tuple[int, list[Names]]]:
    """For each preemption: the step after which it comes, and orders in which the preempted actor goes on at once."""
    names = _names(trace)
    for index, step in enumerate(trace):
        if step.preempted:
            last = max(each.number for each in trace.steps[:index] if each.actor == step.preempted)
            later = [at for at in range(index, len(names)) if names[at] == step.preempted]
            stretch = [at for place, at in enumerate(later) if at - later[0] == place]
            yield last, [_moved(names, stretch, index), _moved(names, later, index)]


def _moved(names: Names, chosen: list[int], to: int) -> Names:
    """The names at these positions taken out and put before position `to`, which is no later than any of them."""
    rest = tuple(name for at, name in enumerate(names) if at >= to and at not in chosen)
    return (*names[:to], *(names[at] for at in chosen), *rest)


def _without_fault(trace: Trace) -> Iterator[tuple[int, Names]]:
    names = _names(trace)
    for index, step in enumerate(trace):
        if step.action.kind is ActionKind.FAULT:
            yield step.number, (*names[:index], *names[index + 1 :])


def _elsewhere(trace: Trace) -> Iterator[tuple[str, list[Names]]]:
    """For each actor that runs alone while others do not: the orders in which it is the first or the last of all."""
    if not trace.overlapping:
        return
    names = _names(trace)
    for name, stretch in [(name, tuple(group)) for name, group in groupby(names)]:
        if name in trace.actors and name not in trace.overlapping:
            others = tuple(other for other in names if other != name)
            yield name, [stretch + others, others + stretch]


def _swappable(trace: Trace, bystanders: Sequence[str]) -> Iterator[int]:
    """The steps that end a stretch, if the next one's actor could have gone before and both have a part in it."""
    for step, following in zip(trace.steps, trace.steps[1:], strict=False):
        pair = {step.actor, following.actor}
        if len(pair) > 1 and following.actor in step.alternatives and pair.isdisjoint(bystanders):
            yield step.number
