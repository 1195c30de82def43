"""Hunts as the command line asks for them: one scenario, or everything listed; in this process or over workers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.analysis.overview import Line
from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.engine.faults import FAULTS
from lab.errors import UsageError
from lab.explore import Explorer
from lab.model.decision import Pause
from lab.model.replay_token import decode
from lab.postgres.server.monitor import connect
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server
from lab.scenario.declare import Scenario, kind_of, planted_bug_of, target_of
from lab.scenario.registry import resolve
from lab.schedulers import SCHEDULERS, Shared
from lab.search.cluster.cluster import Cluster
from lab.search.cluster.parts import can_be_cut, hunt_in_parts
from lab.search.crew.crew import Crew
from lab.search.crew.hands import Hands
from lab.search.crew.processes import Processes
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.workers import JobResult, Workers, perform

if TYPE_CHECKING:
    from lab.search.kept.keeping import Keeping

__all__ = ["demonstration_jobs", "hunt_everything", "hunt_one"]

DEMONSTRATION = {"right": 100, "planted": 300, "probe": 100}
"""Executions for each kind of scenario when everything is hunted and no number is given."""


async def hunt_one(
    server: Server,
    place: Place,
    job: Job,
    workers: int,
    progress: Callable[[HuntResult], None],
    found: Callable[[ReportedFailure], None] | None = None,
    *,
    explorer: Explorer | None = None,
    cluster: Cluster | None = None,
    keeping: Keeping | None = None,
) -> HuntResult:
    """Hunt one scenario. Raises `LabError`. `explorer`: to be used, and left open. `keeping`: where it is written down.

    `found` is called with each failure as it was met, before it is minimised.

    The result does not depend on the number of workers: the search stays with this process, and the others make what
    it foresees (`lab.search.crew`). A `cluster` takes the place of workers here, and a hunt of independent samples is
    cut into parts for it.
    """
    if keeping is not None and (resumed := keeping.resumed) is not None:
        if resumed.is_over(job):
            return resumed.result
        job = resumed.rest(job)
    if cluster is not None and can_be_cut(job):
        return await hunt_in_parts(cluster, job, progress, keeping)
    async with contextlib.AsyncExitStack() as stack:
        crew = None
        if (hands := await _hands(place.of(server), job, workers, cluster)) is not None:
            crew = await stack.enter_async_context(contextlib.aclosing(Crew(hands, job)))
        if explorer is None:
            explorer = await stack.enter_async_context(contextlib.aclosing(Explorer(server)))
        if crew is not None:
            stack.callback(crew.dismiss)  # before the explorer is closed, which takes some time as well
        return _unwrapped(await perform(explorer, job, progress, crew, found, keeping))


async def _hands(place: Place, job: Job, workers: int, cluster: Cluster | None) -> Hands | None:
    """Those who make executions for a search of this process, if anybody does."""
    shared = issubclass(SCHEDULERS[job.scheduler], Shared)
    if cluster is not None:
        if not shared:
            raise UsageError(f"the scheduler {job.scheduler!r} searches in one order, which a cluster cannot share")
        return await cluster.hands(job)
    return Processes(place, job, workers - 1) if workers > 1 and shared else None


async def hunt_everything(
    server: Server | None,
    place: Place,
    jobs: Sequence[tuple[str, Job]],
    workers: int,
    *,
    cluster: Cluster | None = None,
) -> AsyncIterator[Line]:
    """Hunt every job, given as (kind, job); yields a line as each is done, and one for each that cannot be run here.

    Without a server, on the cluster.
    """
    if cluster is not None:
        async with contextlib.aclosing(cluster.perform([job for _, job in jobs])) as done:
            async for index, result in done:
                yield _line(*jobs[index], result)
        return
    assert server is not None
    beyond = {job.target: reason for _, job in jobs if (reason := _beyond(server, job))}
    for kind, job in jobs:
        if why := beyond.get(job.target):
            yield Line(job.target, kind, HuntResult(job.target, job.seed, trouble=why), cannot=why)
    jobs = [each for each in jobs if each[1].target not in beyond]
    if workers > 1:
        async with contextlib.aclosing(
            Workers(place.of(server), workers, again=True).perform([job for _, job in jobs])
        ) as done:
            async for index, result in done:
                yield _line(*jobs[index], result)
                await _insist_on(server, result)
        return
    async with contextlib.aclosing(Explorer(server)) as explorer:
        for kind, job in jobs:
            answer = await perform(explorer, job)
            yield _line(kind, job, answer)
            if answer.result.trouble == INTERRUPTED:  # a hunt keeps what it found, so the rest is stopped here
                raise asyncio.CancelledError
            await _insist_on(server, answer)


async def _insist_on(server: Server, done: JobResult) -> None:
    """Where a job met trouble, see whether the server is there. Raises `ServerError` if not: so would the rest."""
    if done.result.trouble not in ("", INTERRUPTED):
        (await connect(server)).terminate()


def _beyond(server: Server, job: Job) -> str:
    """Why a scenario cannot show what it is for on a server given by URL; "" on the embedded one, and where it can."""
    if server.version is not None:
        return ""
    cls = resolve(job.target)
    for fault in job.conditions.may_strike(cls):
        if fault in FAULTS and FAULTS[fault].needs_own_server:
            return f"the fault {fault!r} needs the embedded server"
    bug = planted_bug_of(cls)
    if bug is not None and bug.token and any(isinstance(each, Pause) for each in decode(bug.token).schedule):
        return "its bug needs a pause between two rows, which needs the embedded server"
    return ""


def _line(kind: str, job: Job, done: JobResult) -> Line:
    return Line(job.target, kind, done.result, done.error)


def demonstration_jobs(
    scenarios: Iterable[type[Scenario]], template: Job, executions: int | None
) -> list[tuple[str, Job]]:
    """A job for each scenario: (kind, job). The long ones, the right variants, come first."""
    jobs = []
    for cls in scenarios:
        kind = kind_of(cls)
        jobs.append((kind, replace(template, target=target_of(cls), executions=executions or DEMONSTRATION[kind])))
    return sorted(jobs, key=lambda each: each[0] != "right")


def _unwrapped(done: JobResult) -> HuntResult:
    """The result of a job. A wrong use is raised."""
    if done.exit_status == UsageError.exit_status:
        raise UsageError(done.error)
    return done.result
