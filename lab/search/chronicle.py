"""The content of INVARIANTS.md, found out by running it: where each claim holds, and how each planted bug breaks it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Sequence

from lab.analysis.tally import HuntResult
from lab.errors import UsageError
from lab.explore import Conditions, Explorer
from lab.model.replay_token import decode, scenario_of
from lab.model.verdict import Verdict
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server
from lab.scenario.claims import ACID, Bug, Entry, claim_of
from lab.scenario.declare import ISOLATION_LEVELS, PlantedBug, Scenario, planted_bug_of, target_of
from lab.schedulers import DEFAULT
from lab.search.job import Job
from lab.search.workers import Workers
from lab.shrink.replays import replay_times

__all__ = ["collect"]

EXECUTIONS = 15
"""Executions at each isolation level. The claim at its own level is held by its test; this shows how the levels
differ."""
REPLAYS = 2
SEED = 0


async def collect(
    server: Server, place: Place, scenarios: Sequence[type[Scenario]], workers: int, progress: Callable[[str], None]
) -> list[Entry]:
    """Run everything and return the entries, sorted by ACID class and title.

    Raises `UsageError` for a planted bug without a token or whose token does not replay it.
    """
    claims = {cls: found for cls in scenarios if (found := claim_of(cls)) is not None}
    bugs = {cls: bug for cls in scenarios if (bug := planted_bug_of(cls)) is not None}
    levels = await _levels(server, place, claims, workers, progress)
    explorer = Explorer(server)
    entries = []
    try:
        for cls, found in claims.items():
            own = [await _bug(explorer, wrong, bug, progress) for wrong, bug in bugs.items() if bug.of is cls]
            entries.append(Entry(target_of(cls), found, _statement(cls), cls.isolation, levels[cls], tuple(own)))
    finally:
        await explorer.aclose()
    return sorted(entries, key=lambda entry: (ACID.index(entry.claim.acid), entry.claim.title))


async def _levels(
    server: Server, place: Place, claims: Iterable[type[Scenario]], workers: int, progress: Callable[[str], None]
) -> dict[type[Scenario], tuple[tuple[str, str], ...]]:
    wanted = [(cls, level) for cls in claims for level in ISOLATION_LEVELS]
    jobs = [
        Job(target_of(cls), DEFAULT, EXECUTIONS, seed=SEED, refine=False, conditions=Conditions(level))
        for cls, level in wanted
    ]  # what breaks is named; its smallest schedule is not asked for
    seen: dict[tuple[type[Scenario], str], str] = {}
    async with contextlib.aclosing(Workers(place.of(server), workers).perform(jobs)) as done:
        async for index, result in done:
            progress(jobs[index].target)
            seen[wanted[index]] = _seen(result.result)
    return {cls: tuple((level, seen[cls, level]) for level in ISOLATION_LEVELS) for cls in claims}


def _seen(result: HuntResult) -> str:
    if result.verdict == Verdict.PASS:
        return f"holds in {result.executions} executions"
    if result.failures:
        first = result.failures[0]
        return f"breaks: {first.broken}"
    return f"not known: {result.reason}"


async def _bug(explorer: Explorer, cls: type[Scenario], bug: PlantedBug, progress: Callable[[str], None]) -> Bug:
    progress(target_of(cls))
    if not bug.token:
        raise UsageError(f"the planted bug {target_of(cls)} has no token; `lab hunt {target_of(cls)}` gives one")
    token = decode(bug.token)
    if token.target != target_of(cls):
        raise UsageError(f"the token of {target_of(cls)} is for {token.target}")
    conditions = Conditions(token.isolation or None)
    replays = await replay_times(explorer, scenario_of(token, cls), token.schedule, conditions, REPLAYS)
    if replays.verdict != Verdict.FAIL or replays.record is None:
        raise UsageError(
            f"the token of {target_of(cls)} does not replay its bug: {replays.divergence or 'no violation'}"
        )
    return Bug(target_of(cls), replays.record.findings[0].message, bug.cause, bug.fix, bug.token)


def _statement(cls: type[Scenario]) -> str:
    """The first sentence or paragraph of the class's docstring."""
    return inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].replace("\n", " ")
