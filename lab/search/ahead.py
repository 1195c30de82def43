"""Executions of a search that other workers make ahead: the search is one, and ends where it ends alone.

A search that learns from its executions cannot be cut into parts. But some of them are the same wherever they run, and
those are most of its samples. So one process has the search. The others make samples that it will come to; it takes
each that is there when it comes to it, and makes the others itself. It never waits. So what it reports is what it would
report alone, whatever the others did and however fast they were: only the time differs.

What shows a violation is made again by the process that has the search, which minimises it. Should it not be broken
there, no schedule can be repeated, and the verdict says so. What was made with another knowledge of what differs by
nature (`lab.explore.nature`) is not taken.

The others are started when the search has gone on for about as long as their start takes, and as much is left: a short
one never pays for them, and a long one gives away little. They are not told what to do but where the search is. One
that has fallen behind goes on a little further ahead, and one that ends is not missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from typing import IO

from lab.analysis.tally import HuntResult
from lab.engine.watchdog import hurried, importing
from lab.explore import Explorer
from lab.model.starts import Starts
from lab.postgres.server.place import Place
from lab.schedulers import SCHEDULERS, make_scheduler
from lab.search.child import command, greeting, manner, patience, signalled
from lab.search.job import Job
from lab.search.lifeline import let_go_on

__all__ = ["Ahead", "Front", "Made", "made_ahead", "run_ahead"]

JOIN_SECONDS = 2.0
"""How long a search goes on before others join: about what the start of one costs, imports and a server of its own."""
LEAD = 16
"""How many executions ahead one begins: the search needs some time to get there."""
FURTHEST = 500
"""How many executions ahead one goes at most; what it made waits in memory."""
NICENESS = 10
"""They run on what the search leaves: on a machine without a free core they must not slow it down."""
CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Made:
    """One execution that was made elsewhere, counted as a hunt of one."""

    number: int
    result: HuntResult
    broken: tuple[str, str] | None
    """The key of the violation that it showed."""

    @property
    def form(self) -> str:
        """The digest of its normal form."""
        (form,) = self.result.traces
        return form

    def dump(self) -> str:
        """As a line of JSON."""
        return json.dumps([self.number, self.result.dump(), self.broken])

    @classmethod
    def load(cls, line: bytes) -> Made:
        """From what `dump` gave."""
        number, result, broken = json.loads(line)
        return cls(number, HuntResult.load(result), None if broken is None else tuple(broken))


@dataclass(slots=True)
class _Helper:
    process: subprocess.Popen[bytes]
    words: IO[bytes]
    """Its standard error."""
    unread: bytes = b""
    has_begun: bool = False
    """It has made something."""

    def tell(self, line: str) -> None:
        """Not waiting for one that does not read: the next line says more."""
        assert self.process.stdin is not None
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self.process.stdin.fileno(), line.encode())

    def made(self) -> list[Made]:
        """What it has written since it was asked last."""
        assert self.process.stdout is not None
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self.process.stdout.fileno(), CHUNK):
                self.unread += more
        *lines, self.unread = self.unread.split(b"\n")
        self.has_begun |= bool(lines)
        return list(map(Made.load, lines))


class Ahead:
    """The other workers of a search, on the side of the process that has it. Leave it with `aclose`.

    Everything here is asked between two executions, and nothing of it stands in the event loop: during an execution a
    pipe there would be one more thing that an actor may wait for.
    """

    def __init__(self, place: Place, job: Job, workers: int) -> None:
        self._place, self._job, self._number = place, job, workers - 1
        self._began = time.monotonic()
        self._helpers: list[_Helper] = []
        self._lifeline: tuple[int, int] | None = None
        self._made: dict[int, Made] = {}

    def take(self, number: int) -> Made | None:
        """The execution with this number, if it was made; the search goes on from there."""
        if self._lifeline is None:
            if self._pays(number):
                self._join()
            return None
        for helper in self._helpers:
            let_go_on(helper.process.pid)
            self._made |= {each.number: each for each in helper.made() if each.number >= number}
        return self._made.pop(number, None)

    def goes_on(self, number: int, *, foreseen: bool) -> None:
        """The search is at this execution; `foreseen`: it is one that others could make."""
        self._made.pop(number, None)
        for helper in self._helpers:
            helper.tell(f"{number} {int(foreseen)}\n")

    def _pays(self, number: int) -> bool:
        gone, job = time.monotonic() - self._began, self._job
        left = gone / max(number - job.first, 1) * (job.first + job.executions - number)
        if job.seconds is not None:
            left = min(left, job.seconds - gone)
        return gone >= JOIN_SECONDS and left >= JOIN_SECONDS

    def _join(self) -> None:
        self._lifeline = os.pipe()
        for number in range(self._number):
            words = tempfile.TemporaryFile()  # noqa: SIM115 - for the life of the process
            process = subprocess.Popen(  # noqa: S603 - this interpreter
                command(self._lifeline[0]),
                **manner(self._lifeline[0]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                bufsize=0,
            )
            os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
            assert process.stdin is not None
            assert process.stdout is not None
            job = replace(self._job, share=(number, self._number))
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(greeting(self._place) + json.dumps(job.dump()).encode() + b"\n")
            os.set_blocking(process.stdin.fileno(), False)
            os.set_blocking(process.stdout.fileno(), False)
            self._helpers.append(_Helper(process, words))

    def dismiss(self) -> None:
        """The search is over: tell them all to end. Says so of one that had ended by itself."""
        for helper in self._helpers:
            status = helper.process.poll()
            if status is None:
                # Nobody waits for the end of a start; the keeper clears away the server that it may be starting.
                starting = self._place.url is None and not helper.has_begun
                let_go_on(helper.process.pid)
                signalled(helper.process.pid, signal.SIGKILL if starting else signal.SIGINT)
            elif status:
                helper.words.seek(0)
                last = helper.words.read().decode(errors="replace").strip().splitlines()[-1:] or [f"status {status}"]
                sys.stderr.write(f"lab: a worker process died, and the hunt went on without it: {last[0]}\n")

    async def aclose(self) -> None:
        """Let those that were dismissed end."""
        try:
            await asyncio.gather(*map(self._left, self._helpers))
        finally:
            for helper in self._helpers:
                helper.process.kill()
                helper.process.wait()
                helper.words.close()
                for pipe in (helper.process.stdin, helper.process.stdout):
                    assert pipe is not None
                    pipe.close()
            for descriptor in self._lifeline or ():
                os.close(descriptor)
            self._helpers, self._lifeline = [], None

    async def _left(self, helper: _Helper) -> None:
        """Let one end by itself, so that it drops its databases on a server given by URL."""
        if helper.process.poll() is not None or (self._place.url is None and hurried()):
            return
        with contextlib.suppress(TimeoutError):
            waiting = asyncio.get_running_loop().run_in_executor(None, helper.process.wait)
            await asyncio.wait_for(asyncio.shield(waiting), patience())


# -------------------------------------------------------------------------------------- on the side of a helping worker


@dataclass(slots=True)
class Front:
    """Where the search is, as its process says line by line: the number, and whether others could make that one."""

    loop: asyncio.AbstractEventLoop
    number: int = 0
    foreseen: bool = True
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, orders: IO[str]) -> None:
        """In a thread of its own, to the end."""
        for line in orders:
            self.loop.call_soon_threadsafe(self._set, line)

    def _set(self, line: str) -> None:
        number, foreseen = map(int, line.split())
        self.number, self.foreseen = number, bool(foreseen)
        self.moved.set()

    async def after(self, number: int, mine: int, helpers: int) -> int:
        """The next execution of mine after this one.

        While the search samples, each process has an equal share. When every second execution is its own, the others
        share the rest.
        """
        while number > self.number + FURTHEST:
            self.moved.clear()
            await self.moved.wait()
        if number < self.number:
            number = self.number + LEAD
        every, mine = (helpers + 1, mine) if self.foreseen else (2 * helpers, 2 * mine)
        return number + 1 + (mine - number - 1) % every


async def made_ahead(explorer: Explorer, job: Job, front: Front) -> AsyncGenerator[Made, None]:
    """The executions of a job's `share`, until the last one. Raises `LabError` as the search does that it helps."""
    with importing():
        scenario = job.scenario()
    scheduler = make_scheduler(job.scheduler, job.seed, **job.options)
    starts = await explorer.starts(scenario, job.conditions)
    conditions = replace(job.conditions, starts=starts is Starts.DECIDED)
    await explorer.run(scenario, scheduler, conditions, checks=())  # for what is learnt from it
    number = job.first + (SCHEDULERS[job.scheduler].prologue or 0)
    while (number := await front.after(number, *job.share)) < job.first + job.executions:
        record = await explorer.run(scenario, scheduler, conditions, execution=number)
        result = HuntResult(job.target, job.seed, starts=starts)
        result.count(record, sampled=scheduler.sampled)
        yield Made(number, result, record.findings[0].key if record.failed else None)


async def run_ahead(explorer: Explorer, job: Job, orders: IO[str], answers: IO[str]) -> None:
    """Make executions of a job ahead, each one line of `answers`. Raises `LabError`; else it goes on until it is ended.

    From the first execution on, `orders` say where the search is.
    """
    front = Front(asyncio.get_running_loop())
    threading.Thread(target=front.listen, args=(orders,), name="lab-front", daemon=True).start()
    async with contextlib.aclosing(made_ahead(explorer, job, front)) as executions:
        async for made in executions:
            answers.write(f"{made.dump()}\n")
            answers.flush()
    await asyncio.Event().wait()
