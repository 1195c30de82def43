"""A cluster that makes executions for a search of this process; see `lab.search.crew.hands` for what is asked of it.

Which worker makes what is dask's business: here each slot of the cluster is one that can be given something, and what
is given to any goes to whoever is free. What a lost worker had, dask gives to another one. A cluster that is of no use
any more ends the search with a `ServerError`, which keeps what was found.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lab.analysis.tally import HuntResult
from lab.engine.watchdog import hurried
from lab.schedulers.course import Course
from lab.search.child import patience
from lab.search.cluster.link import Link, died, last_words, order, raise_failure
from lab.search.crew.made import Made
from lab.search.job import Job

__all__ = ["ClusterHands"]

CHUNK = 1 << 16
LOOK_SECONDS = 0.05
"""How often it is looked for the first sign of the cluster, while nothing else is done."""


class ClusterHands:
    """The slots of a cluster. Raises `LabError` from `opened` and `answers`."""

    def __init__(self, link: Link, job: Job) -> None:
        self._job = replace(job, helps=True)
        self._slots = 0
        self._given: dict[int, tuple[int, Sequence[Course]]] = {}
        self._number = 0
        self._unread = self._unsent = b""
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - for the life of the process
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter
            link.command,
            **link.manner,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self._said = self._process.stdin, self._process.stdout
        os.set_blocking(self._orders.fileno(), False)
        os.set_blocking(self._said.fileno(), False)
        self._send(link.greeting())

    @property
    def workers(self) -> Collection[int]:
        """The slots."""
        return range(self._slots)

    async def opened(self) -> None:
        """Wait for the first worker. Raises `LabError` where there is none in time."""
        while not self._slots:
            self.answers()
            await asyncio.sleep(LOOK_SECONDS)

    def prepare(self) -> None:
        """They are there."""

    def start(self) -> None:
        """They are there."""

    def give(self, worker: int, courses: Sequence[Course]) -> None:
        """Let any make these."""
        self._given[self._number] = worker, courses
        self._send(order(self._number, self._job, courses=[each.dump() for each in courses]))
        self._number += 1

    def answers(self) -> Sequence[tuple[int, Made]]:
        """What came. Raises `LabError` where nothing will come any more."""
        self._send()
        found: list[tuple[int, Made]] = []
        for said in self._lines():
            raise_failure(said)
            if "slots" in said:
                self._slots = said["slots"]
                continue
            worker, courses = self._given.pop(said["number"])
            answer = json.loads(said["answer"])
            if "made" in answer:
                found += [(worker, Made.load(each)) for each in answer["made"]]
            else:  # the search makes them itself, and meets the same if it is of their making
                nothing = HuntResult(self._job.target, self._job.seed)
                trouble = "interrupted" if "interrupted" in answer else died(said)
                found += [(worker, Made(each.key, nothing, trouble=trouble)) for each in courses]
        return found

    def gone(self) -> Sequence[tuple[int, str]]:
        """None: what a lost worker had is made by another."""
        return ()

    def wait(self, seconds: float) -> None:
        """Until something was said, at most so long."""
        select.select([self._said], [self._orders] if self._unsent else [], [], seconds)

    def dismiss(self) -> None:
        """The search is over: the bridge rids the cluster of it."""
        with contextlib.suppress(OSError):
            self._orders.close()

    async def aclose(self) -> None:
        """Returns when nothing is left on the cluster, or when there is no time to wait; the bridge goes on then."""
        self.dismiss()
        try:
            with contextlib.suppress(TimeoutError):
                if hurried():
                    return
                waiting = asyncio.get_running_loop().run_in_executor(None, self._process.wait)
                await asyncio.wait_for(asyncio.shield(waiting), patience())
        finally:
            self._said.close()
            self._words.close()

    def _send(self, line: bytes = b"") -> None:
        self._unsent += line
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._unsent:
                self._unsent = self._unsent[os.write(self._orders.fileno(), self._unsent) :]

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        ended = False
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._said.fileno(), CHUNK):
                self._unread += more
            ended = not more
        *lines, self._unread = self._unread.split(b"\n")
        yield from map(json.loads, lines)
        if ended:
            raise last_words(self._words)
