"""Races pairs of recorded requests, one after the other, within a given time.

A race is minimised once. Two requests that were found racy wait, from their other states, until all others had their
turn; and a pair that breaks something is then run until it does. Where the line that shows it is that of a race that is
known, it is counted as that race, and not minimised again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.errors import LabError, ScenarioError, ServerError
from lab.explore import Explorer
from lab.explore.conditions import Conditions
from lab.explore.invariants import cancelled
from lab.model.record import ExecutionRecord, Failure
from lab.model.replay_token import decode
from lab.model.trace import ActionKind, Step
from lab.scenario.declare import Scenario
from lab.schedulers import describe
from lab.schedulers.guided import Wished
from lab.schedulers.serial import InOrder
from lab.search.hunt import Hunt
from lab.search.races.findings import Raced, Same, Standing, line_of
from lab.search.races.overrides import Ways, by_request
from lab.search.races.pairs import Kind, Pair
from lab.search.races.sent import Sent
from lab.search.races.stage import Stage
from lab.search.result import reported
from lab.shrink.refine import refined

__all__ = ["EXECUTIONS", "INTERRUPTED", "Trials", "raced"]

HINT = "{} writes this race as a scenario, which lab hunt and lab replay know"
INTERRUPTED = "interrupted before it was known"
REDUCTION = "dpor"
"""Two requests have few traces: the reduction met all those of a pair of the shop in 4 to 20 executions, where the
portfolio, which samples beside it, took 55 to 75."""
SAMPLES = "portfolio"
"""Where there are more traces than that: reduction begins at the end of the requests and stays there."""
EXECUTIONS = 100
"""Of one pair with either at most."""
_OUTLIVES = "something that the process keeps outlives a request (a rate limit, a cache), so this race shows nothing"
FAILURES = tuple(range(500, 600))
"""Statuses that are answers like others where a serial order gives one of them."""
LEAST_SECONDS = 0.2
"""No race is begun with less: learning what differs by nature takes as much."""


async def raced(explorer: Explorer, pairs: Sequence[Pair], seconds: float, command: str) -> AsyncIterator[Raced]:
    """What became of each pair, as it is known; those that are left are not tried once the task is cancelled.

    `command` is how a user has races written as scenarios. Raises `ServerError`.
    """
    until, trials = time.monotonic() + seconds, Trials(explorer, HINT.format(command))
    turns = trials.in_turn(pairs)
    for pair in turns:
        began = time.monotonic()
        if until - began < LEAST_SECONDS:
            yield Raced(pair, Standing.NOT_TRIED, f"the {seconds:g} seconds were over")
            continue
        try:
            made = await trials.race(pair, until - began)
        except ServerError:
            raise
        except LabError as error:
            made = Raced(pair, Standing.NOT_TRIED, str(error))
        except asyncio.CancelledError:
            if not cancelled():
                raise
            for each in (pair, *turns):
                yield Raced(each, Standing.NOT_TRIED, INTERRUPTED)
            return
        yield replace(made, seconds=time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Alone:
    """A request on its own: its scenario, what took the place of a session that was shared, and how it differs."""

    scenario: Scenario
    way: Ways
    differs: str
    autocommits: bool = False
    """Each of its statements is a transaction of its own."""
    starts: bool = False
    """The application is started for it."""


@dataclass(slots=True)
class Trials:
    """Races one pair after the other; what was learnt of one serves the next ones."""

    explorer: Explorer
    hint: str
    stage: Stage = field(default_factory=Stage)
    racy: set[str] = field(default_factory=set)
    """The titles of pairs that were found racy from some state."""
    lines: dict[str, Same] = field(default_factory=dict)
    """By the line of each race that was minimised, and the one that its execution showed before that."""
    alone: dict[int, _Alone] = field(default_factory=dict)
    """By the `id` of a request: how it is answered when it is sent again, alone."""

    def in_turn(self, pairs: Sequence[Pair]) -> Iterator[Pair]:
        """The pairs in their order, but last those of which the two were found racy from some other state."""
        waiting = []
        for pair in pairs:
            if pair.title in self.racy:
                waiting.append(pair)
            else:
                yield pair
        yield from waiting

    async def race(self, pair: Pair, left: float) -> Raced:
        """What became of a pair, within so many seconds. Raises `LabError`."""
        with by_request(pair.app):
            for each in (pair.first, pair.second):
                if why := (await self._alone(each)).differs:
                    return Raced(pair, Standing.NOT_TRIED, why)
            own, other = self.alone[id(pair.first)], self.alone[id(pair.second)]
            autocommits = own.autocommits or other.autocommits
            pair = replace(pair, starts=own.starts or other.starts)
            result, same = await self._searched(pair, own.way, left)
            made = Raced.of(pair, result, same, autocommits=autocommits)
            if made.standing is Standing.SAFE and (why := await self._now_differs(pair.first)):
                return Raced(pair, Standing.UNKNOWN, f"after {result.executions} executions, {why}; {_OUTLIVES}")
            return made

    async def _searched(self, pair: Pair, way: Ways, left: float) -> tuple[HuntResult, Same | None]:
        """What was met, and the race that is known, if the first failure shows one. That of another is minimised."""
        scenario = self._scenario(pair, way)
        result, scheduler = await self._hunt(scenario, left)
        if result.failures and await self._fails_in_turn(scenario, pair):
            scenario = self.stage.scenario(pair, way, allows=FAILURES)
            result, scheduler = await self._hunt(scenario, left)
        if not result.failures:
            return result, None
        self.racy.add(pair.title)
        failure = await self._again(scenario, result.failures[0], scheduler)
        if failure is None:
            result.unsteady = (
                f"execution {result.failures[0].execution} broke something, and its schedule did not again"
            )
            result.failures.clear()
            return result, None
        result.failures[0] = met = reported(failure, self.hint)
        if same := self.lines.get(line_of(met)):
            return result, same
        async for smaller in refined(self.explorer, failure, Conditions()):
            failure = smaller
        result.failures[0] = made = reported(failure, self.hint, page=True)
        if line := line_of(made):
            self.lines |= {each: Same(line, pair.title) for each in (line, line_of(met)) if each}
        return result, None

    async def _again(self, scenario: Scenario, found: ReportedFailure, scheduler: str) -> Failure | None:
        """The failing execution once more, with its history and its lines of code; None where nothing breaks then."""
        schedule = decode(found.token).schedule
        conditions = Conditions(starts=schedule.starts, recorded=True, origins=True)
        record = await self.explorer.run(scenario, Wished(schedule.decisions), conditions)
        if not record.failed:
            return None
        more: dict[str, Any] = {"execution": found.execution, "executions": EXECUTIONS, "found_token": found.token}
        return Failure(record, found.token, record, scheduler=describe(scheduler, 0, {}), **more)

    async def _fails_in_turn(self, scenario: Scenario, pair: Pair) -> bool:
        """Whether one of the two is answered with 500 or more where they do not overlap: that is no race."""
        for order in (pair.names, pair.names[::-1]):
            record = await self.explorer.run(scenario, InOrder(order), Conditions(breakpoints=False))
            results = record.outcome.results
            if any(each.fails(results[name]) for name, each in zip(pair.names, pair.both, strict=True)):
                return True
        return False

    def _scenario(self, pair: Pair, way: Ways) -> Scenario:
        return self.stage.scenario(pair, way)

    async def _alone(self, sent: Sent) -> _Alone:
        """How a request is answered otherwise than in its test, in the first way in which it is not, if any.

        A test may have started the application in a way that nobody saw, such as a call of its lifespan function.
        """
        if id(sent) in self.alone:
            return self.alone[id(sent)]
        ways = [Ways.OWN, *([Ways.FRESH] if sent.shared else [])]
        starts = [False] if sent.app is None or sent.lifespan else [False, True]
        made = [await self._tried(sent, ways[0], starts=False)]
        for way, start in [(way, start) for start in starts for way in ways][1:]:
            if not made[-1].differs:
                break
            made.append(await self._tried(sent, way, starts=start))
        self.alone[id(sent)] = made[0] if made[-1].differs else made[-1]
        return self.alone[id(sent)]

    async def _tried(self, sent: Sent, way: Ways, *, starts: bool) -> _Alone:
        scenario = self._scenario(Pair(Kind.TWICE, sent, sent, starts=starts), way)
        try:
            record = await _alone(self.explorer, scenario, sent)
        except ScenarioError as error:
            return _Alone(scenario, way, str(error), starts=starts)
        return _Alone(scenario, way, _difference(record, sent), _autocommits(record), starts)

    async def _now_differs(self, sent: Sent) -> str:
        return _difference(await _alone(self.explorer, self.alone[id(sent)].scenario, sent), sent)

    async def _hunt(self, scenario: Scenario, left: float) -> tuple[HuntResult, str]:
        """All traces; where they are too many, some, and samples beside them. And the scheduler of the last one."""
        began = time.monotonic()
        result = await self._hunt_by(REDUCTION, scenario, left)
        left -= time.monotonic() - began
        if result.failures or result.exhausted or result.ran_out or result.trouble or left < LEAST_SECONDS:
            return result, REDUCTION
        result.add(await self._hunt_by(SAMPLES, scenario, left))
        return result, SAMPLES

    async def _hunt_by(self, scheduler: str, scenario: Scenario, left: float) -> HuntResult:
        how: dict[str, Any] = {"scheduler": scheduler, "executions": EXECUTIONS, "refine": False}
        result = await Hunt.of(scenario, seconds=left, **how).run(self.explorer)
        if cancelled():  # the hunt itself goes on to report; what it has found was not compared with runs in turn yet
            raise asyncio.CancelledError
        return result


async def _alone(explorer: Explorer, scenario: Scenario, sent: Sent) -> ExecutionRecord:
    conditions = Conditions(breakpoints=False, actors=(sent.name,))
    return await explorer.run(scenario, InOrder((sent.name,)), conditions)


def _difference(record: ExecutionRecord, sent: Sent) -> str:
    return sent.differs(record.outcome.results[sent.name])


def _autocommits(record: ExecutionRecord) -> bool:
    """Whether something was written outside any transaction, which would have an end."""
    ends = any(step.action.kind in (ActionKind.COMMIT, ActionKind.ROLLBACK) for step in record.trace)
    return not ends and any(_wrote(step) for step in record.trace)


def _wrote(step: Step) -> bool:
    return step.result is not None and step.result.tag.startswith(("INSERT", "UPDATE", "DELETE", "MERGE"))
