"""The lab's side of a hunt over a dask cluster: jobs go out to whoever is free there, results come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any

from lab.analysis.tally import HuntResult
from lab.engine.watchdog import bounds, watchdog
from lab.errors import LabError, ServerError, UsageError
from lab.model.secret import without_urls
from lab.search.child import patience
from lab.search.cluster.address import address_of
from lab.search.cluster.identity import identity
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.workers import JobResult, loaded

__all__ = ["Cluster"]

WORKERLESS_SECONDS = 15.0
"""How long a cluster may be without a worker. A nanny needs a few seconds to start one anew."""
CONNECT_SECONDS = 5.0
"""Until when a scheduler has to answer."""
AHEAD = 1.25
"""Jobs that are there for each that is done at once, so that no worker waits for the next one."""
LONGEST_LINE = 64 * 1024 * 1024


class _Todo:
    """Jobs with their numbers, and those that were given to the cluster."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = enumerate(jobs)
        self.given: dict[int, Job] = {}
        self.ended = False
        """No more will be given."""

    def next(self) -> dict[str, Any] | None:
        """The next one, as the bridge takes it."""
        number, job = (None, None) if self.ended else next(self._jobs, (None, None))
        if number is None or job is None:
            self.ended = True
            return None
        self.given[number] = job
        order = json.dumps({"job": job.dump(), "expected": identity(job.target)})
        return {"number": number, "order": order}


class Cluster:
    """A dask cluster that performs jobs. Raises `UsageError` for what is no address, and without distributed.

    `version` is that of the embedded servers; a worker with LAB_URL in its environment uses that server.
    """

    def __init__(
        self,
        address: str,
        version: int,
        *,
        workerless: float = WORKERLESS_SECONDS,
        connect: float = CONNECT_SECONDS,
    ) -> None:
        self.address = address_of(address)
        if find_spec("distributed") is None:
            raise UsageError("--dask needs dask.distributed: pip install 'concurrency-lab[dask]'")
        self._hello = {
            "hello": json.dumps({"version": version, "bounds": asdict(bounds())}),
            "connect": connect,
            "workerless": workerless,
        }
        self._slots = 0

    async def perform(self, jobs: Iterable[Job]) -> AsyncGenerator[tuple[int, JobResult], None]:
        """Perform the jobs; yields (index, result) as they are done. Raises `LabError` where the cluster is of no use.

        A job is taken from the iterable when some worker is about to be free for it. One whose worker is lost is done
        again by another. When the caller is cancelled, what was found until then is yielded before the cancellation
        goes on.
        """
        todo, waiting = _Todo(jobs), False
        with tempfile.TemporaryFile() as words:
            process = await self._start(words)
            reading = _reading(process)
            try:
                while self._hand_out(process, todo):
                    try:
                        line = await asyncio.wait_for(asyncio.shield(reading), patience() if waiting else None)
                    except asyncio.CancelledError:
                        if waiting:
                            raise
                        waiting = todo.ended = True
                        _tell(process, {"interrupt": True})
                        continue
                    except TimeoutError:
                        break
                    reading = _reading(process)
                    if not line:
                        raise ServerError(f"the process that speaks to the dask cluster died: {_last(words)}")
                    if (answer := self._taken(json.loads(line), todo)) is not None:
                        yield answer
            finally:
                reading.cancel()
                await self._leave(process)
        if waiting:
            raise asyncio.CancelledError

    def _hand_out(self, process: asyncio.subprocess.Process, todo: _Todo) -> bool:
        """Give the cluster what it can do now: whether there is anything to wait for."""
        wanted = max(int(self._slots * AHEAD), self._slots + 1) if self._slots else 0
        while len(todo.given) < wanted and (order := todo.next()) is not None:
            _tell(process, order)
        return bool(todo.given) or not todo.ended

    def _taken(self, said: dict[str, Any], todo: _Todo) -> tuple[int, JobResult] | None:
        """What a line of the bridge means: an answer, or a cluster that has grown or shrunk. Raises `LabError`."""
        if "slots" in said:
            self._slots = said["slots"]
            return None
        if "failed" in said:
            raise _error(said["failed"], said["status"])
        number, answer = said["number"], json.loads(said["answer"])
        job = todo.given.pop(number)
        if "result" in answer:
            return number, loaded(job, answer)
        worker = f"the dask worker {said['worker']}"
        if "refused" in answer:
            raise UsageError(f"{worker} {answer['refused']}")
        if "interrupted" in answer:
            return number, JobResult(job, HuntResult(job.target, job.seed, trouble=INTERRUPTED))
        who = f"a worker process died on {worker}" if said["worker"] else "no dask worker could do a part"
        sentence = without_urls(f"{who}: {answer['died']}")
        return number, JobResult(job, HuntResult(job.target, job.seed, trouble=sentence), sentence, 3)

    async def _start(self, words: Any) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "lab.search.cluster.bridge", self.address),
            env={name: value for name, value in os.environ.items() if name != "LAB_URL"},
            start_new_session=True,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=words,
            limit=LONGEST_LINE,
        )
        if dog := watchdog.get():
            dog.has_begun = True
        _tell(process, self._hello)
        return process

    async def _leave(self, process: asyncio.subprocess.Process) -> None:
        """Let the bridge rid the cluster of the hunt. Without time to wait, that is done after the lab's own end."""
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), patience())


def _reading(process: asyncio.subprocess.Process) -> asyncio.Task[bytes]:
    assert process.stdout is not None
    return asyncio.create_task(process.stdout.readline())


def _tell(process: asyncio.subprocess.Process, value: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(value).encode() + b"\n")


def _error(sentence: str, status: int) -> LabError:
    return UsageError(sentence) if status == UsageError.exit_status else ServerError(sentence)


def _last(words: Any) -> str:
    words.seek(0)
    lines = words.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
