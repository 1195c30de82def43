"""Workers that are child processes: orders go out as lines of JSON, what was made comes back as lines of JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import IO

from lab.engine.watchdog import hurried
from lab.explore import Explorer
from lab.postgres.server.place import Place
from lab.schedulers.course import Course
from lab.search.child import command, greeting, manner, patience, signalled
from lab.search.crew.cores import usable_cores
from lab.search.crew.made import Made
from lab.search.crew.maker import Maker
from lab.search.job import Job
from lab.search.lifeline import let_go_on

__all__ = ["Processes", "make_for_another"]

CHUNK = 1 << 16
READY = b"ready"
"""The first line of a worker that can be given something."""


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    words: IO[bytes]
    """Its standard error."""
    unread: bytes = b""
    unsent: bytes = b""
    greeted: bool = False
    """It knows its server and its job; before that it only imports."""
    ready: bool = False
    missed: bool = False
    """It has ended, and that was said."""

    def send(self, line: str = "") -> None:
        """As much as it takes now; the rest goes with the next."""
        assert self.process.stdin is not None
        self.unsent += line.encode()
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self.unsent:
                self.unsent = self.unsent[os.write(self.process.stdin.fileno(), self.unsent) :]

    def made(self) -> list[Made]:
        """What it has written since it was asked last."""
        assert self.process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self.process.stdout.fileno(), CHUNK):
                self.unread += more
        *lines, self.unread = self.unread.split(b"\n")
        if lines and not self.ready:
            self.ready = True
            lines = lines[1:]
        return list(map(Made.load, lines))

    def last_words(self) -> str:
        """The last line of its standard error, or how it ended."""
        self.words.seek(0)
        lines = self.words.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"status {self.process.returncode}"


class Processes:
    """Child processes on a server, or each with one of its own, as the place says.

    No more are started than there are cores beside that of the search, but one: what a start costs the others is then
    never made up for (`bench/workers.py`; four on two cores made 0.8 to 1.0 times as many executions a second as two).
    """

    def __init__(self, place: Place, job: Job, number: int) -> None:
        self._place, self._job = place, job
        self._number = min(number, max(1, usable_cores() - 1))
        self._workers: list[_Worker] = []
        self._lifeline: tuple[int, int] | None = None
        """A pipe of which we alone hold the writing end, so that it ends when we die."""

    @property
    def workers(self) -> Collection[int]:
        """Those that are there."""
        return [n for n, each in enumerate(self._workers) if each.ready and each.process.returncode is None]

    def prepare(self) -> None:
        """Let them import what they need, while the search goes on without them."""
        self._begin()

    def start(self) -> None:
        """Begin to start them."""
        self._begin()
        for worker in self._workers:
            worker.greeted = True
            worker.send(greeting(self._place).decode() + json.dumps(replace(self._job, helps=True).dump()) + "\n")

    def _begin(self) -> None:
        self._lifeline = self._lifeline or os.pipe()
        while len(self._workers) < self._number:
            self._workers.append(self._begun(self._lifeline[0]))

    def _begun(self, lifeline: int) -> _Worker:
        words = tempfile.TemporaryFile()  # noqa: SIM115 - for the life of the process
        process = subprocess.Popen(  # noqa: S603 - this interpreter
            command(lifeline),
            **manner(lifeline),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            bufsize=0,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        os.set_blocking(process.stdin.fileno(), False)
        os.set_blocking(process.stdout.fileno(), False)
        return _Worker(process, words)

    def give(self, worker: int, courses: Sequence[Course]) -> None:
        """Let one make these, too."""
        self._workers[worker].send("".join(f"{json.dumps(each.dump())}\n" for each in courses))

    def answers(self) -> Sequence[tuple[int, Made]]:
        """What they have made since this was asked last."""
        found = []
        for number, worker in enumerate(self._workers):
            let_go_on(worker.process.pid)
            worker.send()
            found += [(number, each) for each in worker.made()]
        return found

    def gone(self) -> Sequence[tuple[int, str]]:
        """Those that ended since this was asked last."""
        found = []
        for number, worker in enumerate(self._workers):
            if not worker.missed and worker.process.poll() is not None:
                worker.missed = True
                found.append((number, worker.last_words()))
        return found

    def wait(self, seconds: float) -> None:
        """Until one has written something or ended, at most so long."""
        pipes = [each.process.stdout for each in self._workers if each.process.returncode is None]
        select.select([pipe for pipe in pipes if pipe is not None], [], [], seconds)

    def dismiss(self) -> None:
        """Tell them all to end."""
        for worker in self._workers:
            assert worker.process.stdin is not None
            if worker.process.poll() is None:
                # Nobody waits for the end of a start; the keeper clears away the server that it may be starting.
                starting = not worker.greeted or (self._place.url is None and not worker.ready)
                let_go_on(worker.process.pid)
                signalled(worker.process.pid, signal.SIGKILL if starting else signal.SIGINT)
            worker.process.stdin.close()

    async def aclose(self) -> None:
        """Let those that were dismissed end, and end those that do not."""
        try:
            await asyncio.gather(*map(self._left, self._workers))
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()
                worker.words.close()
                for pipe in (worker.process.stdin, worker.process.stdout):
                    assert pipe is not None
                    pipe.close()
            for descriptor in self._lifeline or ():
                os.close(descriptor)
            self._workers, self._lifeline = [], None

    async def _left(self, worker: _Worker) -> None:
        """Let one end by itself, so that it drops its databases on a server given by URL."""
        if worker.process.poll() is not None or (self._place.url is None and hurried()):
            return
        with contextlib.suppress(TimeoutError):
            waiting = asyncio.get_running_loop().run_in_executor(None, worker.process.wait)
            await asyncio.wait_for(asyncio.shield(waiting), patience())


async def make_for_another(explorer: Explorer, job: Job, orders: IO[str], answers: IO[str]) -> None:
    """On the side of a worker: make what is ordered, until the orders end. Raises `LabError`."""
    maker = await Maker.ready(explorer, job)
    answers.write(f"{READY.decode()}\n")
    answers.flush()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, orders.readline):
        made = await maker.make(Course.load(json.loads(line)))
        answers.write(f"{made.dump()}\n")
        answers.flush()
