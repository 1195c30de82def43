"""What a minimised failure needed and what it did not: take one thing away, run again, see if the same still breaks.

This is how an experiment finds a cause: the preemption without which nothing breaks is one; two steps whose order can
be turned without a difference show the reader where not to look. What was not run is not claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from lab.analysis.reordering import turned
from lab.model.decision import Decision, Go, Pause
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord, Relevance, Turned
from lab.model.trace import ActionKind, Trace
from lab.schedulers.guided import Onward, Wished
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
    breakpoints = [number for number, wish in _without_breakpoint(record.trace) if await trials.cured(wish)]
    bystanders = [name for name, wishes in _elsewhere(record.trace) if await trials.same_in_all(wishes)]
    swaps = [(step, step + 1) for step in _swappable(record.trace, bystanders) if await trials.same_when_swapped(step)]
    for wish in _later(record.trace):
        await trials.ordered(wish)
    return Relevance(
        tuple(preemptions),
        tuple(faults),
        tuple(swaps),
        tuple(bystanders),
        trials.spent,
        tuple(breakpoints),
        *trials.nearest(),
    )


class _Trials:
    """Runs other orders of the steps of one failing execution, each at most once and so many in all."""

    def __init__(self, record: ExecutionRecord, run: Run, budget: int) -> None:
        self._trace = record.trace
        self._goal = record.findings[0].key
        self._run = run
        self._budget = budget
        self._done: dict[tuple[type[Wished], Wish], ExecutionRecord] = {(Wished, _wish(record.trace)): record}
        self.spent = 0

    async def _try(self, wish: Wish, how: type[Wished] = Wished) -> ExecutionRecord | None:
        if (how, wish) not in self._done:
            if self.spent >= self._budget:
                return None
            self.spent += 1
            self._done[how, wish] = await self._run(how(wish))
        return self._done[how, wish]

    def _breaks(self, record: ExecutionRecord) -> bool:
        return self._goal in {finding.key for finding in record.findings}

    def _cured(self, record: ExecutionRecord) -> bool:
        """Whether the same is not broken; where the step limit ended it, or a check was not done, nobody knows."""
        known = record.outcome.ending is not Ending.STEP_LIMIT and not record.not_checked
        return known and not self._breaks(record)

    async def ordered(self, wish: Wish) -> None:
        """Run this order, to see whether it passes."""
        await self._try(wish, Onward)

    def nearest(self) -> tuple[tuple[Turned, ...], Trace | None]:
        """How that one of the executions differs which passed with the fewest pairs of steps in another order."""
        passed = [each for each in self._done.values() if each.passed and each.outcome.ending is Ending.COMPLETED]
        alike = [each.trace for each in passed if each.trace.extras == self._trace.extras]
        ways = [(*turned(self._trace, trace), trace) for trace in alike]
        found = min((way for way in ways if way[1]), key=lambda way: way[0], default=None)
        return ((), None) if found is None else found[1:]

    async def needed(self, wishes: list[Wish]) -> bool:
        """Whether nothing breaks in the first of these orders that really has fewer preemptions."""
        for wish in wishes:
            record = await self._try(wish, Onward)
            if record is not None and record.trace.preemptions < self._trace.preemptions:
                return self._cured(record)
        return False

    async def cured(self, wish: Wish) -> bool:
        """Whether nothing breaks in this order."""
        record = await self._try(wish, Onward)
        return record is not None and self._cured(record)

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
            orders = [_moved(wish, stretch, index), _moved(wish, later, index)]
            if trace.preemptions == 1:  # each in turn: without a wait, what followed the wait would be a preemption
                orders.append(tuple(dict.fromkeys(Go(step.actor) for step in trace if not step.is_fault)))
            yield last, orders


def _moved(wish: Wish, chosen: list[int], to: int) -> Wish:
    """The decisions at these positions taken out and put before position `to`, which is no later than any of them."""
    rest = tuple(each for at, each in enumerate(wish) if at >= to and at not in chosen)
    return (*wish[:to], *(wish[at] for at in chosen), *rest)


def _without_fault(trace: Trace) -> Iterator[tuple[int, Wish]]:
    wish = _wish(trace)
    for index, step in enumerate(trace):
        if step.is_fault:
            yield step.number, (*wish[:index], *wish[index + 1 :])


def _without_breakpoint(trace: Trace) -> Iterator[tuple[int, Wish]]:
    """For each step that pauses: its number, and the order in which it does not, so that nobody wakes it."""
    for step in trace:
        if isinstance(step.chosen, Pause):
            later = [each for each in trace.steps[step.number :] if each.actor == step.actor]
            left_out = later[0].number if later and later[0].woken else 0
            yield (
                step.number,
                tuple(Go(step.actor) if each is step else each.chosen for each in trace if each.number != left_out),
            )


def _later(trace: Trace) -> Iterator[Wish]:
    """For each switch: the order in which those that go on there come first.

    At a preemption they come before what the preempted actor did of its transaction until then; where nothing overlaps,
    before all that the actor did.
    """
    wish = _wish(trace)
    stretches = [tuple(group) for _, group in groupby(range(len(wish)), key=lambda at: trace.steps[at].mover)]
    for before, after in pairwise(stretches):
        preempted = trace.steps[after[0]].preempted
        if preempted and preempted == trace.steps[before[0]].actor:
            back = (at for at in range(after[0], len(wish)) if trace.steps[at].actor == preempted)
            moved, end = _of_one_transaction(trace, before), next(back, len(wish))
        elif not trace.overlapping and not trace.extras:
            moved, end = before, after[-1] + 1
        else:
            continue
        order = (*range(moved[0]), *range(after[0], end), *moved, *range(end, len(wish)))
        yield tuple(wish[at] for at in order)


def _of_one_transaction(trace: Trace, stretch: tuple[int, ...]) -> tuple[int, ...]:
    """The end of a stretch, from where its last transaction begins."""
    ends = (ActionKind.COMMIT, ActionKind.ROLLBACK)
    first = max((at + 1 for at in stretch[:-1] if trace.steps[at].action.kind in ends), default=stretch[0])
    return tuple(at for at in stretch if at >= first)


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
