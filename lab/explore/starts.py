"""Finds out whether it can matter in which order the actors of a scenario begin.

What comes before an actor's first statement is seen by nobody: it may wait for a connection of a pool, take a lock,
fill a cache, read what another has put there for as long as it is busy. So it is tried. The actors run one after the
other, once with each of them beginning when it is its turn, once with all of them beginning before, the last one first,
and once for each place between two steps of the first one, with all others beginning there; and all of this again with
the actors turned round. Where no statement, parameter, result or final row differs, all can begin in one order. Where
an actor that began had to wait for another, the other one's statements came first, so the order of statements differs.

It is more than a search of statements could show, and less than a proof: what shows only when the actors' statements
are interleaved is not met here.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import takewhile

from lab.explore.conditions import AS_IT_STANDS, Conditions
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord
from lab.model.starts import Starts
from lab.model.trace import ActionKind, Trace
from lab.scenario.declare import Scenario, actors_of, parameters_of
from lab.schedulers.base import Scheduler
from lab.schedulers.serial import InOrder

__all__ = ["Beginnings"]

Run = Callable[[Scenario, Scheduler, Conditions], Awaitable[ExecutionRecord]]
Order = Sequence[str]
MOST_WITHIN = 24
"""Places within an actor at which others are let begin; an actor of hundreds of steps would take minutes."""


class Beginnings:
    """What is known of scenarios. `run` performs one execution, and raises what it raises."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._known: dict[tuple[type[Scenario], str, str | None, int], Starts] = {}

    async def starts(
        self, scenario: Scenario, conditions: Conditions = AS_IT_STANDS, *, until: float = math.inf
    ) -> Starts:
        """Whether it matters in which order the actors begin, as some serial runs show it.

        Unknown where these are not over at the time `until` of `time.monotonic`. Raises what `Explorer.run` raises.
        """
        key = type(scenario), repr(parameters_of(scenario)), conditions.isolation, conditions.step_limit
        if key in self._known:
            return self._known[key]
        starts = await self._found(scenario, conditions, until)
        if time.monotonic() < until:
            self._known[key] = starts
        return starts

    async def _found(self, scenario: Scenario, conditions: Conditions, until: float) -> Starts:
        names = [each.name for each in conditions.of(actors_of(type(scenario)))]
        bare = replace(conditions, starts=True, breakpoints=False, checks=(), recorded=False, remedy=None)
        for order in (names, names[::-1]) if len(names) > 1 else ():
            found = await _in_order(self._run, scenario, bare, order, until)
            if found is not Starts.FIXED:
                return found
        return Starts.FIXED


async def _in_order(run: Run, scenario: Scenario, conditions: Conditions, order: Order, until: float) -> Starts:
    """Whether it matters, as far as serial runs in this order show it."""
    alone: ExecutionRecord | None = None
    places = deque([InOrder(order), InOrder(order, begin=order[::-1])])
    while places:
        if time.monotonic() >= until:
            return Starts.UNKNOWN
        record = await run(scenario, places.popleft(), conditions)
        if record.outcome.ending is Ending.STEP_LIMIT:
            return Starts.UNKNOWN
        if alone is None:
            alone = record
            places += [InOrder(order, begin=order[1:], at=each) for each in _within(alone.trace, order[0])]
        elif not _same(alone, record):
            again = await run(scenario, InOrder(order), conditions)
            return Starts.DECIDED if _same(alone, again) else Starts.UNKNOWN
    return Starts.FIXED


def _within(trace: Trace, first: str) -> Sequence[int]:
    """Decisions of the one that runs first before which others may begin: of many, some that lie evenly."""
    own = list(takewhile(lambda step: step.actor.partition("/")[0] == first, trace))
    stride = -(-len(own) // MOST_WITHIN) or 1
    return range(1, len(own), stride)


def _same(one: ExecutionRecord, other: ExecutionRecord) -> bool:
    """Whether two executions differ in nothing but when the actors began."""
    return _after_the_start(one.trace) == _after_the_start(other.trace) and one.outcome == other.outcome


def _after_the_start(trace: Trace) -> list[tuple[object, ...]]:
    steps = (step for step in trace if step.action.kind is not ActionKind.START)
    return [(step.chosen, step.action, step.woken, step.result, step.wait) for step in steps]
