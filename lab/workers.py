"""Hunting with several processes: jobs go out as lines of JSON, results come back as lines of JSON.

A worker is a child process without a terminal's signals of its own: Ctrl-C reaches only the lab, which then ends its
workers. It does not hold the embedded server alive either, so when the lab is killed the server goes, and the worker
with it at its next statement.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.explore import Explorer
from lab.hunt import Hunt, HuntResult, ReportedFailure
from lab.places import Place
from lab.registry import instance_of

__all__ = ["Job", "JobResult", "Workers"]

LONGEST_LINE = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Job:
    """A part of a hunt, as plain values; see `Hunt`."""

    target: str
    scheduler: str
    executions: int
    first: int = 0
    seconds: float | None = None
    seed: int = 0
    isolation: str | None = None
    keep_going: bool = False


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job gave: a result, or the sentence and exit status of the error that stopped it."""

    job: Job
    result: HuntResult
    error: str = ""
    exit_status: int = 0


def _silent(result: HuntResult) -> None:
    pass


async def perform(explorer: Explorer, job: Job, progress: Callable[[HuntResult], None] = _silent) -> JobResult:
    """Do one job in this process."""
    try:
        hunt = Hunt(instance_of(job.target), **asdict(job), progress=progress)
        return JobResult(job, await hunt.run(explorer))
    except LabError as error:
        return JobResult(job, HuntResult(job.target, job.seed, trouble=str(error)), str(error), error.exit_status)


class Workers:
    """A few worker processes that perform jobs on one server."""

    def __init__(self, place: Place, number: int) -> None:
        self._place = place
        self._number = number
        self._processes: list[asyncio.subprocess.Process] = []

    async def perform(self, jobs: Sequence[Job]) -> AsyncGenerator[tuple[int, JobResult], None]:
        """Perform the jobs; yields (index, result) as they are done. Ends the workers when it is left."""
        todo = iter(enumerate(jobs))
        done: asyncio.Queue[tuple[int, JobResult]] = asyncio.Queue()
        tasks = [asyncio.create_task(self._feed(todo, done)) for _ in range(min(self._number, len(jobs)))]
        try:
            for _ in jobs:
                yield await done.get()
        finally:
            for task in tasks:
                task.cancel()
            for process in self._processes:
                if process.returncode is None:
                    process.kill()
                await process.wait()

    async def _feed(self, todo: Iterator[tuple[int, Job]], done: asyncio.Queue[tuple[int, JobResult]]) -> None:
        """Give a worker job after job; one that dies is replaced, so that every job has an answer."""
        process = await self._start()
        for index, job in todo:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
            if line := await process.stdout.readline():
                await done.put((index, _loaded(job, json.loads(line))))
                continue
            words = f"a worker process died: {await _last_words(process)}"
            await done.put((index, JobResult(job, HuntResult(job.target, job.seed, trouble=words), words, 3)))
            process = await self._start()

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lab.workers",
            self._place.dump(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=LONGEST_LINE,
        )
        self._processes.append(process)
        return process


async def _last_words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    lines = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit status {await process.wait()}"


def _loaded(job: Job, answer: dict[str, Any]) -> JobResult:
    values = answer["result"]
    values["outcomes"] = Counter(values["outcomes"])
    values["traces"] = set(values["traces"])
    values["failures"] = [ReportedFailure(**failure) for failure in values["failures"]]
    return JobResult(job, HuntResult(**values), answer["error"], answer["exit_status"])


def _dumped(done: JobResult) -> str:
    result = done.result
    values = {each.name: getattr(result, each.name) for each in fields(result)}
    values["traces"] = sorted(result.traces)
    values["failures"] = [asdict(failure) for failure in result.failures]
    return json.dumps({"result": values, "error": done.error, "exit_status": done.exit_status})


async def _work(place: Place) -> None:
    loop = asyncio.get_running_loop()
    with place.server() as server:
        explorer = Explorer(server)
        try:
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                print(_dumped(await perform(explorer, Job(**json.loads(line)))), flush=True)  # noqa: T201
        finally:
            await explorer.aclose()


def main() -> None:
    """Entry point of a worker process."""
    sys.path.insert(0, str(Path.cwd()))
    asyncio.run(_work(Place.load(sys.argv[1])))


if __name__ == "__main__":
    main()
