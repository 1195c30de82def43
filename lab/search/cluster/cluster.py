"""The lab's side of a hunt over a dask cluster: jobs go out to whoever is free there, results come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncGenerator, Iterable
from importlib.util import find_spec
from typing import Any

from lab.analysis.tally import HuntResult
from lab.engine.watchdog import hurried, watchdog
from lab.errors import UsageError
from lab.search.child import LONGEST_LINE, closed, patience
from lab.search.cluster.address import address_of
from lab.search.cluster.hands import ClusterHands
from lab.search.cluster.link import Link, died, last_words, line_of, order, raise_failure
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


class _Todo:
    """Jobs with their numbers, and those that were given to the cluster."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = enumerate(jobs)
        self.given: dict[int, Job] = {}
        self.ended = False
        """No more will be given."""

    def next(self) -> bytes | None:
        """The next one, as the bridge takes it."""
        number, job = (None, None) if self.ended else next(self._jobs, (None, None))
        if number is None or job is None:
            self.ended = True
            return None
        self.given[number] = job
        return order(number, job)


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
        self._link = Link(address_of(address), version, workerless, connect)
        if find_spec("distributed") is None:
            raise UsageError("--dask needs dask.distributed: pip install 'concurrency-lab[dask]'")
        self.slots = 0
        """How many jobs it does at once."""

    async def hands(self, job: Job) -> ClusterHands:
        """Those who make executions for a search of this process. Raises `LabError` where nobody answers."""
        hands = ClusterHands(self._link, job)
        try:
            await hands.opened()
        except BaseException:
            await hands.aclose()
            raise
        return hands

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
                        _tell(process, line_of({"interrupt": True}))
                        continue
                    except TimeoutError:
                        break
                    reading = _reading(process)
                    if not line:
                        raise last_words(words)
                    if (answer := self._taken(json.loads(line), todo)) is not None:
                        yield answer
            finally:
                reading.cancel()
                await _leave(process)
        if waiting:
            raise asyncio.CancelledError

    def _hand_out(self, process: asyncio.subprocess.Process, todo: _Todo) -> bool:
        """Give the cluster what it can do now: whether there is anything to wait for."""
        wanted = max(int(self.slots * AHEAD), self.slots + 1) if self.slots else 0
        while len(todo.given) < wanted and (line := todo.next()) is not None:
            _tell(process, line)
        return bool(todo.given) or not todo.ended

    def _taken(self, said: dict[str, Any], todo: _Todo) -> tuple[int, JobResult] | None:
        """What a line of the bridge means: an answer, or a cluster that has grown or shrunk. Raises `LabError`."""
        raise_failure(said)
        if "slots" in said:
            self.slots = said["slots"]
            return None
        number, answer = said["number"], json.loads(said["answer"])
        job = todo.given.pop(number)
        if "result" in answer:
            return number, loaded(job, answer)
        if "interrupted" in answer:
            return number, JobResult(job, HuntResult(job.target, job.seed, trouble=INTERRUPTED))
        sentence = died(said)
        return number, JobResult(job, HuntResult(job.target, job.seed, trouble=sentence), sentence, 3)

    async def _start(self, words: Any) -> asyncio.subprocess.Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._link.command, **self._link.manner, stdin=pipe, stdout=pipe, stderr=words, limit=LONGEST_LINE
        )
        if dog := watchdog.get():
            dog.has_begun = True
        _tell(process, self._link.greeting())
        return process


async def _leave(process: asyncio.subprocess.Process) -> None:
    """Let the bridge rid the cluster of the hunt. Without time to wait, it does so after the lab's own end."""
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 0 if hurried() else patience())
        await closed(process)


def _reading(process: asyncio.subprocess.Process) -> asyncio.Task[bytes]:
    assert process.stdout is not None
    return asyncio.create_task(process.stdout.readline())


def _tell(process: asyncio.subprocess.Process, line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
