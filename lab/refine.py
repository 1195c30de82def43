"""From the failing execution that a search met to the failure that is told: minimised, tried, replayed.

One path for hunts and for failures that Hypothesis found.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial

from lab.errors import Divergence
from lab.explore import Explorer
from lab.minimise import Run, minimise
from lab.record import Failure
from lab.relevance import relevance
from lab.replay_token import encode, token_for
from lab.schedulers.replay import Replay

__all__ = ["CONFIRMATIONS", "refined"]

CONFIRMATIONS = 5
"""How often a failure is replayed before it is reported."""


async def refined(
    explorer: Explorer,
    failure: Failure,
    isolation: str | None,
    *,
    breakpoints: bool = True,
    checks: Sequence[str] = (),
) -> AsyncIterator[Failure]:
    """The failure after each stage; the last one is complete. Whoever is interrupted keeps what came before."""
    scenario = failure.record.scenario
    run = partial(explorer.run, scenario, isolation=isolation, breakpoints=breakpoints, checks=checks)
    smallest = await minimise(failure.record, run)
    token = encode(token_for(scenario, smallest.record.schedule, isolation or ""))
    failure = replace(failure, record=smallest.record, token=token, least=smallest.least)
    yield failure
    failure = replace(failure, relevance=await relevance(smallest.record, run))
    yield failure
    yield await _confirmed(failure, run)


async def _confirmed(failure: Failure, run: Run) -> Failure:
    """Replay a failure a few times and note how many replays were identical."""
    identical, divergence = 0, ""
    replay = Replay(failure.record.schedule)
    for number in range(CONFIRMATIONS):
        replay.begin(number)
        try:
            record = await run(replay)
            identical += record.same_as(failure.record)
        except Divergence as error:
            divergence = str(error)
    return replace(failure, identical=identical, replays=CONFIRMATIONS, divergence=divergence)
