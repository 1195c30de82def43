"""Races pairs of recorded requests, one after the other, within a given time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lab.analysis.tally import HuntResult, ReportedFailure
from lab.errors import LabError, ScenarioError, ServerError
from lab.explore import Explorer
from lab.explore.conditions import Conditions
from lab.explore.invariants import cancelled
from lab.model.record import ExecutionRecord
from lab.model.trace import ActionKind, Step
from lab.scenario.declare import Scenario
from lab.schedulers.serial import InOrder
from lab.search.hunt import Hunt
from lab.search.races.findings import Raced, Standing
from lab.search.races.overrides import Ways, by_request
from lab.search.races.pairs import Kind, Pair
from lab.search.races.sent import Sent
from lab.search.races.stage import Stage

__all__ = ["EXECUTIONS", "INTERRUPTED", "raced"]

HINT = "{} writes this race as a scenario, which lab hunt and lab replay know"
INTERRUPTED = "interrupted before it was known"
REDUCTION = "dpor"
"""Two requests have few traces: the reduction met all those of a pair of the shop in 4 to 20 executions, where the
portfolio, which samples beside it, took 55 to 75."""
EXECUTIONS = 100
"""Of one pair at most."""
_OUTLIVES = "something that the process keeps outlives a request (a rate limit, a cache), so this race shows nothing"
FAILURES = tuple(range(500, 600))
"""Statuses that are answers like others where a serial order gives one of them."""
LEAST_SECONDS = 0.2
"""No race is begun with less: learning what differs by nature takes as much."""


async def raced(explorer: Explorer, pairs: Sequence[Pair], seconds: float, command: str) -> AsyncIterator[Raced]:
    """What became of each pair, in their order; the rest of them are not tried once the task is cancelled.

    `command` is how a user has races written as scenarios. Raises `ServerError`.
    """
    until, trials = time.monotonic() + seconds, _Trials(explorer, HINT.format(command))
    for number, pair in enumerate(pairs):
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
            for each in pairs[number:]:
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


@dataclass(slots=True)
class _Trials:
    explorer: Explorer
    hint: str
    stage: Stage = field(default_factory=Stage)
    known: dict[tuple[object, ...], ReportedFailure] = field(default_factory=dict)
    """What two requests broke from some other state, by the two and what was broken: it is minimised once."""
    alone: dict[int, _Alone] = field(default_factory=dict)
    """By the `id` of a request: how it is answered when it is sent again, alone."""

    async def race(self, pair: Pair, left: float) -> Raced:
        with by_request(pair.first.app):
            for each in (pair.first, pair.second):
                if why := (await self._alone(each)).differs:
                    return Raced(pair, Standing.NOT_TRIED, why)
            own = self.alone[id(pair.first)]
            autocommits = own.autocommits or self.alone[id(pair.second)].autocommits
            result = await self._searched(pair, own.way, left)
            made = Raced.of(pair, result, autocommits=autocommits)
            if made.standing is Standing.SAFE and (why := await self._now_differs(pair.first)):
                return Raced(pair, Standing.UNKNOWN, f"after {result.executions} executions, {why}; {_OUTLIVES}")
            return made

    async def _searched(self, pair: Pair, way: Ways, left: float) -> HuntResult:
        known = {title for title, *_ in self.known}
        scenario = self._scenario(pair, way)
        result = await self._hunt(scenario, left, refine=pair.title not in known)
        if result.failures and await self._fails_in_turn(scenario, pair):
            scenario = self.stage.scenario(pair, way, allows=FAILURES)
            result = await self._hunt(scenario, left, refine=pair.title not in known)
        if not result.failures:
            return result
        key = (pair.title, *result.failures[0].key)
        if key in self.known:
            result.failures[0] = self.known[key]
        elif not result.failures[0].replays:  # the two broke something else before
            result = await self._hunt(scenario, left, refine=True)
        if result.failures:
            self.known[pair.title, *result.failures[0].key] = result.failures[0]
        return result

    async def _fails_in_turn(self, scenario: Scenario, pair: Pair) -> bool:
        """Whether one of the two is answered with 500 or more where they do not overlap: that is no race."""
        for order in (pair.names, pair.names[::-1]):
            record = await self.explorer.run(scenario, InOrder(order), Conditions(breakpoints=False))
            if any(each.error is not None and not each.aborted for each in record.outcome.results.values()):
                return True
        return False

    def _scenario(self, pair: Pair, way: Ways) -> Scenario:
        return self.stage.scenario(pair, way)

    async def _alone(self, sent: Sent) -> _Alone:
        """How a request is answered otherwise than in its test, in the first way in which it is not, if any."""
        if id(sent) not in self.alone:
            for way in [Ways.OWN, *([Ways.FRESH] if sent.shared else [])]:
                scenario = self._scenario(Pair(Kind.TWICE, sent, sent), way)
                try:
                    record = await _alone(self.explorer, scenario, sent)
                    made = _Alone(scenario, way, _difference(record, sent), _autocommits(record))
                except ScenarioError as error:
                    made = _Alone(scenario, way, str(error))
                self.alone[id(sent)] = made
                if not made.differs:
                    break
        return self.alone[id(sent)]

    async def _now_differs(self, sent: Sent) -> str:
        return _difference(await _alone(self.explorer, self.alone[id(sent)].scenario, sent), sent)

    async def _hunt(self, scenario: Scenario, left: float, *, refine: bool) -> HuntResult:
        how: dict[str, Any] = {"scheduler": REDUCTION, "executions": EXECUTIONS, "refine": refine, "pages": refine}
        hunt = Hunt.of(scenario, seconds=left, **how)
        hunt.replay_hint = self.hint
        result = await hunt.run(self.explorer)
        if cancelled():  # the hunt itself goes on to report; what it has found was not compared with runs in turn yet
            raise asyncio.CancelledError
        return result


async def _alone(explorer: Explorer, scenario: Scenario, sent: Sent) -> ExecutionRecord:
    conditions = Conditions(breakpoints=False, actors=(sent.name,))
    return await explorer.run(scenario, InOrder((sent.name,)), conditions)


def _difference(record: ExecutionRecord, sent: Sent) -> str:
    result = record.outcome.results[sent.name]
    if result.error is not None:
        return f"sent again from the same rows, {sent.title} fails: {result.text}"
    status = result.value[0] if isinstance(result.value, tuple) else None
    if status != sent.status:
        return f"sent again from the same rows, {sent.title} answers {status}, and {sent.status} when it was recorded"
    return ""


def _autocommits(record: ExecutionRecord) -> bool:
    """Whether something was written outside any transaction, which would have an end."""
    ends = any(step.action.kind in (ActionKind.COMMIT, ActionKind.ROLLBACK) for step in record.trace)
    return not ends and any(_wrote(step) for step in record.trace)


def _wrote(step: Step) -> bool:
    return step.result is not None and step.result.tag.startswith(("INSERT", "UPDATE", "DELETE", "MERGE"))
