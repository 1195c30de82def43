"""From the failing execution that a search met to the failure that is reported: minimised, tried, replayed.

One path for hunts and for failures that Hypothesis found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from lab.errors import Divergence, ScenarioError
from lab.explore import Conditions, Explorer
from lab.explore.contained import or_else
from lab.model.record import AtLevel, ExecutionRecord, Failure, Relevance
from lab.model.replay_token import encode, token_of
from lab.scenario.declare import ISOLATION_LEVELS
from lab.schedulers.guided import Wished
from lab.schedulers.replay import Replay
from lab.schedulers.serial import InOrder
from lab.shrink.minimise import Minimised, Run, minimise
from lab.shrink.relevance import relevance
from lab.shrink.replays import replay_times

__all__ = ["CONFIRMATIONS", "refined"]

DUPLICATE = "23505"
CONFIRMATIONS = 5
"""How often a failure is replayed before it is reported."""
MINIMISING_SECONDS = 5.0
"""How long a failure may be minimised. The textbook races need a tenth of a second, a padded ring of four two."""


Made = TypeVar("Made")


async def refined(
    explorer: Explorer,
    failure: Failure,
    conditions: Conditions,
) -> AsyncIterator[Failure]:
    """The failure after each stage; the last one is complete. A caller that is interrupted keeps the stages before.

    A stage that fails, since the lab is wrong itself, leaves the failure as it is, with a sentence.
    """
    scenario, stages = failure.record.scenario, _Stages()
    conditions = replace(conditions, starts=failure.record.trace.starts, origins=True)
    run = partial(explorer.run, scenario, conditions=conditions)
    record = await stages.made("find the line of code behind each step", _located(failure.record, run), failure.record)
    failure = replace(failure, record=record)
    yield stages.said(failure)
    shrinking = minimise(record, run, seconds=MINIMISING_SECONDS)
    smallest = await stages.made("minimise this failure", shrinking, Minimised(record, 0))
    isolation = conditions.isolation or ""
    token = encode(token_of(smallest.record, isolation))
    late = MINIMISING_SECONDS if smallest.late else 0.0
    failure = replace(failure, record=smallest.record, token=token, least=smallest.least, late=late)
    if smallest.record.is_serial:
        trying_in_turn = _breaks_in_turn(smallest.record, run)
        in_turn = await stages.made("try this failure without overlap", trying_in_turn, otherwise=False)
        failure = replace(failure, without_overlap=in_turn)
    yield stages.said(failure)
    trying = relevance(smallest.record, run)
    failure = replace(failure, relevance=await stages.made("find out what it needs", trying, Relevance()))
    yield stages.said(failure)
    failure = await stages.made("replay this failure", _confirmed(explorer, failure, conditions), failure)
    failure = replace(failure, token=encode(token_of(failure.record, isolation)))  # it names the anomaly
    yield stages.said(failure)
    if failure.record.anomalies or _met_a_key(failure.record):
        trying_levels = _levels(failure.record, partial(run, checks=()))
        levels = await stages.made("try this order at the levels above", trying_levels, ())
        yield stages.said(replace(failure, levels=levels))


class _Stages:
    """What came of the stages of one failure: a defect of the lab's own in one of them is said, and ends none."""

    def __init__(self) -> None:
        self._defects: list[str] = []

    async def made(self, doing: str, stage: Awaitable[Made], otherwise: Made) -> Made:
        """What a stage gives, or something else where it fails."""
        made, defect = await or_else(doing, stage, otherwise)
        self._defects += [defect] if defect else []
        return made

    def said(self, failure: Failure) -> Failure:
        """The failure, with what could not be found out about it."""
        defects = dict.fromkeys((*failure.record.defects, *self._defects))
        return replace(failure, record=replace(failure.record, defects=tuple(defects)))


_NOTED = ("origins", "raised", "stalls")
"""What only an execution that is reported has: lines of code, and who took what in the process."""


async def _located(found: ExecutionRecord, run: Run) -> ExecutionRecord:
    """An execution of a search, with its lines of code: they are noted in another run of its schedule."""
    again = await run(Wished(found.schedule.decisions))
    if again.trace != found.trace:
        return found
    return replace(found, **{name: getattr(again, name) for name in _NOTED})


async def _breaks_in_turn(record: ExecutionRecord, run: Callable[..., Awaitable[ExecutionRecord]]) -> bool:
    """Whether the same breaks where each actor begins when the one before has ended, and not all at first."""
    order = tuple(dict.fromkeys(step.actor.partition("/")[0] for step in record.trace))
    there = await run(InOrder(order), starts=True, checks=())
    return there.is_serial and record.findings[0].key in {finding.key for finding in there.findings}


def _met_a_key(record: ExecutionRecord) -> bool:
    """Whether an actor met a key that another one inserted meanwhile: at some levels that is an abort instead."""
    overlapping = record.trace.overlapping
    return any(name in overlapping and each.sqlstate == DUPLICATE for name, each in record.outcome.results.items())


async def _confirmed(explorer: Explorer, failure: Failure, conditions: Conditions) -> Failure:
    """Replay a failure a few times, note how many replays were identical, and take over the history of one of them."""
    found = failure.record
    replays = await replay_times(explorer, found.scenario, found.schedule, conditions, CONFIRMATIONS, like=found)
    if (again := replays.record) is None:
        again = await _like(explorer, found, conditions)
        found = again or found  # what its history says is in the values of this run
    if again is not None:
        taken = ("history", "unseen", "anomalies", "database_fault", "defects", *_NOTED)
        found = replace(found, **{name: getattr(again, name) for name in taken})
    return replace(
        failure,
        record=found,
        identical=replays.identical,
        replays=replays.times,
        divergence=replays.divergence,
    )


async def _like(explorer: Explorer, found: ExecutionRecord, conditions: Conditions) -> ExecutionRecord | None:
    """A run of the same schedule that breaks the same, if in other values, with its history; None without one."""
    try:
        again = await explorer.run(found.scenario, Replay(found.schedule), conditions, recorded=True)
    except Divergence:
        return None
    same = [finding.key for finding in again.findings] == [finding.key for finding in found.findings]
    return again if same else None


async def _levels(record: ExecutionRecord, run: Callable[..., Awaitable[ExecutionRecord]]) -> tuple[AtLevel, ...]:
    """The levels above that of a failure, weakest first, up to the first at which the same does not break.

    An invariant that looks into what an actor returned may fail where it is aborted: no more is known of that level.
    """
    tried: list[AtLevel] = []
    for level in ISOLATION_LEVELS[ISOLATION_LEVELS.index(record.isolation) + 1 :]:
        try:
            tried.append(await _at(level, record, run))
        except ScenarioError:
            break
        if not tried[-1].broken:
            break
    return tuple(tried)


async def _at(level: str, record: ExecutionRecord, run: Callable[..., Awaitable[ExecutionRecord]]) -> AtLevel:
    """Take the steps of a failing execution in the same order at another level, as far as that goes there."""
    scheduler = Wished([step.chosen for step in record.trace])
    there = await run(scheduler, isolation=level)
    refused = tuple((name, result.sqlstate) for name, result in there.outcome.results.items() if result.aborted)
    return AtLevel(level, refused, record.findings[0].key in {finding.key for finding in there.findings})
