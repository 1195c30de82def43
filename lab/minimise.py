"""Makes a failing schedule smaller: fewer faults and breakpoints, then preemptions, context switches, steps.

Only by running: a smaller schedule counts when it really broke the same thing, same checker and same invariant. Two
passes take turns until neither helps.

- Delta debugging (Zeller and Hildebrandt 2002) over the decisions that are not 0: set a stretch of them to 0, halve the
  stretch, begin anew after each success. A zero means "the actor that ran last goes on", so what is left are the
  switches that the failure needs.
- What delta debugging cannot reach, since every way there leads over a larger schedule: schedules with a single
  preemption, tried one by one in the spirit of iterative context bounding (Musuvathi and Qadeer 2007). Most races
  need no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from lab.record import ExecutionRecord
from lab.schedulers.base import Scheduler
from lab.schedulers.guided import Guided

__all__ = ["BUDGET", "Minimised", "minimise"]

BUDGET = 300
"""Executions that a minimisation may spend; the shipped failures need 10 to 60."""

Run = Callable[[Scheduler], Awaitable[ExecutionRecord]]


@dataclass(frozen=True, slots=True)
class Minimised:
    """The smallest failing execution that was found, and how many executions were spent on it."""

    record: ExecutionRecord
    executions: int


async def minimise(found: ExecutionRecord, run: Run, *, budget: int = BUDGET) -> Minimised:
    """Shrink the schedule of a failing execution. `run` performs one execution of the same scenario."""
    goal = found.findings[0].key
    best, spent = found, 0
    tried = {_decisions(found)}
    improved = True
    while improved:
        improved = False
        for candidate in chain(_smaller(_decisions(best)), _single_preemptions(best)):
            if candidate in tried:
                continue
            if spent >= budget:
                return Minimised(best, spent)
            tried.add(candidate)
            spent += 1
            record = await run(Guided(candidate))
            tried.add(_decisions(record))
            if goal in {finding.key for finding in record.findings} and _size(record) < _size(best):
                best, improved = record, True
                break
    return Minimised(best, spent)


def _decisions(record: ExecutionRecord) -> tuple[int, ...]:
    return _trimmed(step.decision for step in record.trace)


def _size(record: ExecutionRecord) -> tuple[int, int, int, int, tuple[int, ...]]:
    trace = record.trace
    return trace.faults + trace.breakpoints, trace.preemptions, trace.context_switches, len(trace), _decisions(record)


def _smaller(decisions: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
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


def _single_preemptions(best: ExecutionRecord) -> Iterator[tuple[int, ...]]:
    """Every start, then every place at which the running actor gives way to another, then serial."""
    if best.trace.preemptions < 2:  # noqa: PLR2004 - one preemption is what this pass aims at
        return
    actors = len(best.trace.actors)
    for position in range(1, len(best.trace)):
        for start in range(actors):
            for other in range(1, actors):
                yield (start, *[0] * (position - 1), other)


def _trimmed(decisions: Iterator[int] | tuple[int, ...]) -> tuple[int, ...]:
    kept = list(decisions)
    while kept and not kept[-1]:
        kept.pop()
    return tuple(kept)
