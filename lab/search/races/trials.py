"""Races pairs of recorded requests, one after the other, within a given time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lab.analysis.tally import HuntResult, ReportedFailure
from lab.errors import LabError, ServerError
from lab.explore import Explorer
from lab.explore.conditions import Conditions
from lab.scenario.declare import Scenario
from lab.schedulers.serial import InOrder
from lab.search.hunt import Hunt
from lab.search.races.findings import Raced, Standing
from lab.search.races.pairs import Pair
from lab.search.races.sent import Recording
from lab.search.races.stage import Stage

__all__ = ["EXECUTIONS", "raced"]

SCHEDULER = "dpor"
"""Two requests have few traces: the reduction met all those of a pair of the shop in 4 to 20 executions, where the
portfolio, which samples beside it, took 55 to 75."""
EXECUTIONS = 100
"""Of one pair at most."""
LEAST_SECONDS = 0.2
"""No race is begun with less: learning what differs by nature takes as much."""


async def raced(
    explorer: Explorer, pairs: Sequence[Pair], recordings: Mapping[str, Recording], seconds: float
) -> AsyncIterator[Raced]:
    """What became of each pair, in their order. Raises `ServerError`."""
    until, trials = time.monotonic() + seconds, _Trials(explorer, recordings)
    for pair in pairs:
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
        yield replace(made, seconds=time.monotonic() - began)


@dataclass(slots=True)
class _Trials:
    explorer: Explorer
    recordings: Mapping[str, Recording]
    stage: Stage = field(default_factory=Stage)
    known: dict[tuple[object, ...], ReportedFailure] = field(default_factory=dict)
    """What two requests broke from some other state, by the two and what was broken: it is minimised once."""
    faithful: dict[int, str] = field(default_factory=dict)
    """`id` of a request -> how it is answered otherwise, sent again alone, than in its test; "" if it is not."""

    async def race(self, pair: Pair, left: float) -> Raced:
        scenario = self.stage.scenario(pair, lifespan=self.recordings[pair.first.test].lifespan)
        if not pair.between and (why := await self._differs(scenario, pair)):
            return Raced(pair, Standing.NOT_TRIED, why)
        result = await self._hunt(scenario, left, refine=pair.title not in {title for title, *_ in self.known})
        if result.failures:
            key = (pair.title, *result.failures[0].key)
            if key in self.known:
                result.failures[0] = self.known[key]
            elif not result.failures[0].replays:  # the two broke something else before
                result = await self._hunt(scenario, left, refine=True)
            if result.failures:
                self.known[pair.title, *result.failures[0].key] = result.failures[0]
        return Raced.of(pair, result)

    async def _hunt(self, scenario: Scenario, left: float, *, refine: bool) -> HuntResult:
        how: dict[str, Any] = {"scheduler": SCHEDULER, "executions": EXECUTIONS, "refine": refine, "pages": refine}
        return await Hunt.of(scenario, seconds=left, **how).run(self.explorer)

    async def _differs(self, scenario: Scenario, pair: Pair) -> str:
        if id(pair.first) not in self.faithful:
            self.faithful[id(pair.first)] = await _differs(self.explorer, scenario, pair)
        return self.faithful[id(pair.first)]


async def _differs(explorer: Explorer, scenario: Scenario, pair: Pair) -> str:
    first, name = pair.first, pair.names[0]
    record = await explorer.run(scenario, InOrder((name,)), Conditions(breakpoints=False, actors=(name,)))
    result = record.outcome.results[name]
    if result.error is not None:
        return f"sent again from the same rows, {first.title} fails: {result.text}"
    status = result.value[0] if isinstance(result.value, tuple) else None
    if status != first.status:
        return f"sent again from the same rows, {first.title} answers {status}, and {first.status} in the test"
    return ""
