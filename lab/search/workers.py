"""Hunting with several processes: jobs go out as lines of JSON, results come back as lines of JSON.

A worker is a child process without a terminal's signals of its own: Ctrl-C reaches only the lab, which then asks its
workers for what they have found. A worker ends with the lab, also when it computes without pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.engine.watchdog import hurried, importing, watchdog, watched
from lab.errors import LabError
from lab.explore import Explorer
from lab.model.bounds import Bounds
from lab.postgres.server.place import Place
from lab.scenario.pyproject import find_modules
from lab.search.child import Early, closed, greeting, patience, signalled, start
from lab.search.crew.crew import Crew
from lab.search.crew.processes import make_for_another
from lab.search.garbage import settled
from lab.search.hunt import Hunt, Progress, replay_once, silent
from lab.search.job import Job
from lab.search.lifeline import let_go_on
from lab.search.streams import answers_aside, orders_aside

if TYPE_CHECKING:
    from lab.search.kept.keeping import Keeping

__all__ = ["JobResult", "Workers", "dumped", "loaded", "perform"]

STOPPED_SECONDS = 0.5
"""How long a worker that stopped itself may stay so."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job gave: a result, or the sentence and exit status of the error that stopped it."""

    job: Job
    result: HuntResult
    error: str = ""
    exit_status: int = 0
    searched: Mapping[str, Any] = field(default_factory=dict)
    """Of a search under a remedy: what `Searched.dump` gives."""


async def perform(
    explorer: Explorer,
    job: Job,
    progress: Progress = silent,
    crew: Crew | None = None,
    found: Callable[[ReportedFailure], None] | None = None,
    keeping: Keeping | None = None,
) -> JobResult:
    """Do one job in this process. `crew`: other workers that make some of its executions.

    `found` is called with each failure as it was met, before it is minimised. `keeping`: where a hunt is written down.
    """
    try:
        with importing():
            scenario = job.scenario()
        if job.remedy:
            from lab.search.remedies.away import searched_here  # noqa: PLC0415 - most workers try none

            return JobResult(
                job, HuntResult(job.target, job.seed), searched=(await searched_here(explorer, job)).dump()
            )
        if job.token:
            return JobResult(job, await replay_once(explorer, job))
        return JobResult(job, await Hunt(scenario, job, progress, crew, found, keeping=keeping).run(explorer))
    except LabError as error:
        return JobResult(job, HuntResult(job.target, job.seed, trouble=str(error)), str(error), error.exit_status)


class _Numbered:
    """Jobs with their numbers, for several who take them in turn; for one only, where they are `waits`: waited for."""

    def __init__(self, jobs: Iterable[Job] | AsyncIterator[Job]) -> None:
        self.waits = isinstance(jobs, AsyncIterator)
        self._jobs = jobs if isinstance(jobs, AsyncIterator) else iter(jobs)
        self._number = 0

    def __aiter__(self) -> _Numbered:
        return self

    async def __anext__(self) -> tuple[int, Job]:
        try:
            job = await anext(self._jobs) if isinstance(self._jobs, AsyncIterator) else next(self._jobs)
        except StopIteration:
            raise StopAsyncIteration from None
        self._number += 1
        return self._number - 1, job


class Workers:
    """A few worker processes that perform jobs on one server.

    `early`: a process that is there already. `again`: a job whose worker dies is done once more.
    """

    def __init__(self, place: Place, number: int, early: Early | None = None, *, again: bool = False) -> None:
        self._again = again
        self._place = place
        self._number = number
        self._processes: list[asyncio.subprocess.Process] = []
        self._busy: set[asyncio.subprocess.Process] = set()
        self._interrupted = False
        self._lifeline: tuple[int, int] | None = None
        """A pipe of which we alone hold the writing end, so that it ends when we die."""
        self._early = early
        if early is not None:
            early.taken = True
            self._lifeline = early.lifeline
            self._processes.append(early.process)

    async def perform(self, jobs: Iterable[Job] | AsyncIterator[Job]) -> AsyncGenerator[tuple[int, JobResult], None]:
        """Perform the jobs; yields (index, result) as they are done. Ends the workers when it is left.

        A job is taken from the iterable when a worker is free for it. When the caller is cancelled, the workers are
        interrupted, and what they have found until then is yielded before the cancellation goes on. For jobs that are
        waited for, the one worker is started before the first of them comes.
        """
        todo = _Numbered(jobs)
        done: asyncio.Queue[tuple[int, JobResult] | None] = asyncio.Queue()
        feeding = [asyncio.create_task(self._feed(todo, done)) for _ in range(self._number)]
        going_on = asyncio.create_task(self._let_go_on())
        fed = 0
        try:
            while fed < len(feeding):
                try:
                    answer = await asyncio.wait_for(done.get(), patience() if self._interrupted else None)
                except asyncio.CancelledError:
                    if self._interrupted:
                        raise
                    self._interrupt()
                except TimeoutError:
                    break
                else:
                    if answer is None:
                        fed += 1
                    else:
                        yield answer
            if self._interrupted:
                raise asyncio.CancelledError
            await asyncio.gather(*feeding)  # raises what kept a worker from being started
        finally:
            for task in feeding:
                task.cancel()
            await self._leave()
            going_on.cancel()

    def _interrupt(self) -> None:
        """Ask for what was found until now; those without a job have nothing to say."""
        self._interrupted = True
        for process in self._busy:
            _signal(process, signal.SIGINT)

    async def _leave(self) -> None:
        """Let the workers end by themselves, so that they drop their databases on a server given by URL."""
        self._interrupt()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        leaving = [asyncio.ensure_future(process.communicate()) for process in self._processes]
        if leaving:
            # On an embedded server there is nothing to drop: it goes as a whole.
            nothing_to_drop = self._place.url is None and hurried()
            await asyncio.wait(leaving, timeout=0 if nothing_to_drop else patience())
        for process in self._processes:
            if process.returncode is None:
                _signal(process, signal.SIGKILL)
                await process.wait()
            await closed(process)
        for descriptor in self._lifeline or ():
            os.close(descriptor)
        self._lifeline = None

    async def _let_go_on(self) -> None:
        while True:
            await asyncio.sleep(STOPPED_SECONDS)
            for process in self._processes:
                let_go_on(process.pid)

    async def _feed(self, todo: _Numbered, done: asyncio.Queue[tuple[int, JobResult] | None]) -> None:
        """Give a worker job after job; one that dies is replaced, so that every job has an answer."""
        process: asyncio.subprocess.Process | None = None
        try:
            if todo.waits:
                process = await self._start()
            async for index, job in todo:
                for is_last in (False, True) if self._again else (True,):
                    process = process or await self._start()
                    if self._interrupted:
                        return
                    if line := await self._ask(process, job):
                        await done.put((index, loaded(job, json.loads(line))))
                        break
                    if self._interrupted:
                        break
                    words = f"a worker process died: {await _last_words(process)}"
                    process = None
                    if is_last:
                        result = HuntResult(job.target, job.seed, trouble=words)
                        await done.put((index, JobResult(job, result, words, 3)))
                    else:
                        sys.stderr.write(f"lab: {words}; its share is done again\n")
        finally:
            done.put_nowait(None)

    async def _ask(self, process: asyncio.subprocess.Process, job: Job) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        self._busy.add(process)
        if dog := watchdog.get():
            dog.has_begun = True
        process.stdin.write(json.dumps(job.dump()).encode() + b"\n")
        line = await process.stdout.readline()
        self._busy.discard(process)
        return line

    async def _start(self) -> asyncio.subprocess.Process:
        if self._lifeline is None:
            self._lifeline = os.pipe()
        if self._early is None:
            process = await start(self._lifeline[0])
            self._processes.append(process)
        else:
            process, self._early = self._early.process, None
        assert process.stdin is not None
        process.stdin.write(greeting(self._place))
        return process


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    """Not by the method of this name: it takes the exit status of one that has just died, for which asyncio waits."""
    if process.returncode is None:
        signalled(process.pid, number)


async def _last_words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    lines = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"exit status {await process.wait()}"


def loaded(job: Job, answer: dict[str, Any]) -> JobResult:
    """The answer to a job, from what `dumped` gave as JSON has it."""
    result = HuntResult.load(answer["result"])
    return JobResult(job, result, answer["error"], answer["exit_status"], answer["searched"])


def dumped(done: JobResult) -> str:
    """An answer without its job, as a line of JSON."""
    said = {"error": done.error, "exit_status": done.exit_status, "searched": done.searched}
    return json.dumps({"result": done.result.dump(), **said})


async def _work(place: Place, orders: IO[str], answers: IO[str]) -> None:
    loop = asyncio.get_running_loop()
    with place.server() as server:
        explorer = Explorer(server)
        try:
            while line := await loop.run_in_executor(None, orders.readline):
                job = Job.load(json.loads(line))
                if job.helps:
                    await make_for_another(explorer, job, orders, answers)
                else:
                    answers.write(f"{dumped(await perform(explorer, job))}\n")
                    answers.flush()
        finally:
            await explorer.aclose()


def main() -> None:
    """Entry point of a worker process; see `begin`."""
    settled()
    find_modules()
    orders, answers = orders_aside(), answers_aside()
    with contextlib.suppress(KeyboardInterrupt):  # the lab interrupts its workers; it knows
        if place := orders.readline():
            limits = Bounds(**json.loads(orders.readline()))
            with watched(limits, _leave, sys.__stderr__.fileno() if sys.__stderr__ else 2):
                asyncio.run(_work(Place.load(place), orders, answers))
    gc.freeze()  # the process goes as a whole; to look through all that it imported would take a fifth of a second


def _leave(sentence: str) -> None:
    os.write(2, f"{sentence}\n".encode(errors="backslashreplace"))
    os.kill(os.getpid(), signal.SIGKILL)
