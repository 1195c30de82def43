"""From the failing execution that a search met to the failure that is reported: minimised, tried, replayed.

One path for hunts and for failures that Hypothesis found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial

from lab.explore import Conditions, Explorer
from lab.model.record import AtLevel, ExecutionRecord, Failure
from lab.model.replay_token import encode, token_of
from lab.scenario.declare import ISOLATION_LEVELS
from lab.schedulers.guided import Wished
from lab.shrink.minimise import minimise
from lab.shrink.relevance import relevance
from lab.shrink.replays import replay_times

__all__ = ["CONFIRMATIONS", "refined"]

CONFIRMATIONS = 5
"""How often a failure is replayed before it is reported."""
MINIMISING_SECONDS = 5.0
"""How long a failure may be minimised. The textbook races need a tenth of a second, a padded ring of four two."""


async def refined(
    explorer: Explorer,
    failure: Failure,
    conditions: Conditions,
) -> AsyncIterator[Failure]:
    """The failure after each stage; the last one is complete. A caller that is interrupted keeps the stages before."""
    scenario = failure.record.scenario
    conditions = replace(conditions, starts=failure.record.trace.starts)
    run = partial(explorer.run, scenario, conditions=conditions)
    smallest = await minimise(failure.record, run, seconds=MINIMISING_SECONDS)
    isolation = conditions.isolation or ""
    token = encode(token_of(smallest.record, isolation))
    late = MINIMISING_SECONDS if smallest.late else 0.0
    failure = replace(failure, record=smallest.record, token=token, least=smallest.least, late=late)
    yield failure
    failure = replace(failure, relevance=await relevance(smallest.record, run))
    yield failure
    failure = await _confirmed(explorer, failure, conditions)
    failure = replace(failure, token=encode(token_of(failure.record, isolation)))  # it names the anomaly
    yield failure
    if failure.record.anomalies:
        yield replace(failure, levels=await _levels(failure.record, partial(run, checks=())))


async def _confirmed(explorer: Explorer, failure: Failure, conditions: Conditions) -> Failure:
    """Replay a failure a few times, note how many replays were identical, and take over the history of one of them."""
    found = failure.record
    replays = await replay_times(explorer, found.scenario, found.schedule, conditions, CONFIRMATIONS, like=found)
    if (again := replays.record) is not None:
        found = replace(found, history=again.history, unseen=again.unseen, anomalies=again.anomalies)
    return replace(
        failure,
        record=found,
        identical=replays.identical,
        replays=replays.times,
        divergence=replays.divergence,
    )


async def _levels(record: ExecutionRecord, run: Callable[..., Awaitable[ExecutionRecord]]) -> tuple[AtLevel, ...]:
    """The levels above that of a failure, weakest first, up to the first at which the same does not break."""
    tried: list[AtLevel] = []
    for level in ISOLATION_LEVELS[ISOLATION_LEVELS.index(record.isolation) + 1 :]:
        tried.append(await _at(level, record, run))
        if not tried[-1].broken:
            break
    return tuple(tried)


async def _at(level: str, record: ExecutionRecord, run: Callable[..., Awaitable[ExecutionRecord]]) -> AtLevel:
    """Take the steps of a failing execution in the same order at another level, as far as that goes there."""
    scheduler = Wished([step.chosen for step in record.trace])
    there = await run(scheduler, isolation=level)
    refused = tuple((name, result.sqlstate) for name, result in there.outcome.results.items() if result.aborted)
    return AtLevel(level, refused, record.findings[0].key in {finding.key for finding in there.findings})
