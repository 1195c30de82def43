"""Hunts as the command line asks for them: one scenario, or everything listed; in this process or over workers."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.analysis.overview import Line
from lab.analysis.tally import HuntResult, ReportedFailure
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
from lab.schedulers import SCHEDULERS, Skipping
from lab.search.ahead import Ahead
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.workers import JobResult, Workers, perform

if TYPE_CHECKING:
    from lab.search.kept.keeping import Keeping

__all__ = ["demonstration_jobs", "hunt_everything", "hunt_one"]

LONGEST_PART = 50
"""Executions in one part of a hunt over workers: small enough that a violation early on ends the hunt early."""
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
    keeping: Keeping | None = None,
) -> HuntResult:
    """Hunt one scenario. Raises `LabError`. `explorer`: to be used, and left open. `keeping`: where it is written down.

    `found` is called with each failure as it was met, before it is minimised; not where parts are hunted elsewhere.

    The result does not depend on the number of workers. A hunt of independent samples is cut into parts; one that
    learns from its executions stays with this process, and the others make samples ahead for it.
    """
    if keeping is not None and (resumed := keeping.resumed) is not None:
        if resumed.is_over(job):
            return resumed.result
        job = resumed.rest(job)
    if workers > 1 and not issubclass(SCHEDULERS[job.scheduler], Skipping):
        return await _hunt_in_parts(server, place, job, workers, progress, keeping)
    async with contextlib.AsyncExitStack() as stack:
        ahead = Ahead(place.of(server), job, workers) if workers > 1 else None
        if ahead is not None:
            await stack.enter_async_context(contextlib.aclosing(ahead))
        if explorer is None:
            explorer = await stack.enter_async_context(contextlib.aclosing(Explorer(server)))
        if ahead is not None:
            stack.callback(ahead.dismiss)  # before the explorer is closed, which takes some time as well
        return _unwrapped(await perform(explorer, job, progress, ahead, found, keeping))


async def hunt_everything(
    server: Server, place: Place, jobs: Sequence[tuple[str, Job]], workers: int
) -> AsyncIterator[Line]:
    """Hunt every job, given as (kind, job); yields a line as each is done, and one for each that cannot be run here."""
    beyond = {job.target: reason for _, job in jobs if (reason := _beyond(server, job.target))}
    for kind, job in jobs:
        if why := beyond.get(job.target):
            yield Line(job.target, kind, HuntResult(job.target, job.seed, trouble=why), cannot=why)
    jobs = [each for each in jobs if each[1].target not in beyond]
    if workers > 1:
        async with contextlib.aclosing(Workers(place.of(server), workers).perform([job for _, job in jobs])) as done:
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


def _beyond(server: Server, target: str) -> str:
    """Why a scenario cannot show what it is for on a server given by URL; "" on the embedded one, and where it can."""
    if server.version is not None:
        return ""
    cls = resolve(target)
    for fault in cls.faults:
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


async def _hunt_in_parts(
    server: Server,
    place: Place,
    job: Job,
    workers: int,
    progress: Callable[[HuntResult], None],
    keeping: Keeping | None,
) -> HuntResult:
    if SCHEDULERS[job.scheduler].prologue is None:
        raise UsageError(f"the scheduler {job.scheduler!r} searches in one order, which workers cannot share")
    total = keeping.resumed.result if keeping and keeping.resumed else HuntResult(job.target, job.seed)
    started = time.monotonic() - total.seconds
    waiting: dict[int, HuntResult] = {}
    added, ends = 0, dict[int, int]()
    parts = _parts(job, workers, total, started)
    try:
        async with contextlib.aclosing(Workers(place.of(server), workers).perform(parts)) as done:
            async for index, result in done:
                waiting[index] = _unwrapped(result, total)
                ends[index] = result.job.first + result.job.executions
                # Parts are added in order, so that the first violation is the same one for any number of workers.
                while added in waiting:
                    total.add(waiting.pop(added))
                    total.seconds = time.monotonic() - started
                    if keeping is not None:
                        _written(keeping, total, ends[added])
                    added += 1
                    progress(total)
                    if total.trouble not in ("", INTERRUPTED) or (total.failures and not job.keep_going):
                        return total
    except asyncio.CancelledError:
        total.trouble = INTERRUPTED
    finally:
        if total.trouble:
            for index in sorted(waiting):
                total.add(waiting[index])
        total.seconds = time.monotonic() - started
    return total


def _written(keeping: Keeping, total: HuntResult, number: int) -> None:
    """All before this number is added; where a part was broken off, that is not so."""
    for failure in total.failures:
        keeping.met(failure)
    if not total.trouble:
        keeping.reached(number, total)


def _parts(job: Job, workers: int, total: HuntResult, started: float) -> Iterator[Job]:
    """The parts of a hunt, made as workers ask for them: each gets the known violations and the time that is left."""
    size = max(1, min(LONGEST_PART, job.executions // (4 * workers)))
    last = job.first + job.executions
    first, end = job.first, job.first + max(size, SCHEDULERS[job.scheduler].prologue or 0)
    while first < last:
        left = None if job.seconds is None else job.seconds - (time.monotonic() - started)
        if left is not None and left <= 0:
            return
        known = tuple(failure.key for failure in total.failures)
        executions = min(end, last) - first
        whole = job.total or job.executions
        yield replace(job, first=first, executions=executions, total=whole, known=known, seconds=left)
        first, end = end, end + size


def _unwrapped(done: JobResult, found: HuntResult | None = None) -> HuntResult:
    """The result of a job. A wrong use is raised, unless that would hide a violation that was `found` before."""
    if done.exit_status == UsageError.exit_status and not (found and found.failures):
        raise UsageError(done.error)
    return done.result
