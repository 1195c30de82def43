"""A worker process that is started before there is work for it, and does the jobs that come one after the other.

A start, with all that is imported, takes most of the time of a replay in a fresh process. So where there is a core to
spare it is started with the hunt, else when the hunt meets its first failure, and its start goes on beside the rest.
Until its first job it has run nothing of the scenario's: it is as fresh as one that is started for that job. Forking
this process instead would be faster and would show less: the fork has this one's seed of hashes and its addresses.

This file loads little, since a standby begins before anything else is imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING

from lab.postgres.server.place import Place
from lab.search.beside import Beside
from lab.search.child import Early, early, signalled

if TYPE_CHECKING:
    from lab.search.job import Job
    from lab.search.workers import JobResult

    Order = tuple[Job, Future[JobResult]]

__all__ = ["Standby", "core_to_spare"]


def core_to_spare() -> bool:
    """Whether another process would have a core of its own: there are several, and not all were busy of late."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return usable > 1 and os.getloadavg()[0] < usable


class Standby:
    """Begins to start at once. It may be asked from any thread; leave it with `aclose`.

    `place`: the server that it works on. Where that is not known yet, `begin` says it.
    """

    def __init__(self, place: Place | None = None) -> None:
        self._place: Future[Place] = Future()
        self._early: Early | None = None
        self._lock = threading.Lock()
        self._orders: deque[Order | None] = deque()
        self._come: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._taken: deque[Future[JobResult]] = deque()
        """Those that have no answer yet, in their order: a job may be taken before the last one's answer is seen."""
        self._over = False
        self.is_fresh = True
        """It has run nothing but what comes before the first execution of a process."""
        self._is_idle = True
        """Nothing was asked of it."""
        self._beside = Beside(self._work)
        if place is not None:
            self.begin(place)

    def begin(self, place: Place) -> None:
        """Its server runs, and all is imported that this process needs."""
        with contextlib.suppress(InvalidStateError):  # it has come to nothing
            self._place.set_result(place)

    @property
    def is_over(self) -> bool:
        """It is not there any more, or never was: the machine may have no room for another process."""
        return self._over

    def ask(self, job: Job) -> Future[JobResult]:
        """Let it do a job. The future is cancelled, or has the error that ended it, where it comes to no answer."""
        answer: Future[JobResult] = Future()
        self.is_fresh = job.ahead and self.is_fresh
        self._is_idle = False
        self._put((job, answer))
        return answer

    def dismiss(self) -> None:
        """It is asked nothing more, and leaves when it has done what it was asked."""
        self._put(None)

    async def aclose(self) -> None:
        """End it, whatever it does; returns when it is gone."""
        with self._lock:
            untaken = [order[1] for order in self._orders if order is not None]
            self._orders.clear()
            self._orders.append(None)
            to_be_ended = bool(self._taken) or not self._place.done()
            if self._is_idle and self._early is not None and not self._over:
                signalled(self._early.process.pid, signal.SIGKILL)  # it has run nothing, so it has nothing to put away
        for answer in untaken:
            answer.cancel()
        self._wake()
        if to_be_ended:
            self._beside.cancel()
        await self._beside.over()

    def _put(self, order: Order | None) -> None:
        with self._lock:
            if self._over and order is not None:
                order[1].cancel()
            self._orders.append(order)
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._come is not None and not self._over:
                loop, come = self._come
                loop.call_soon_threadsafe(come.set)

    async def _jobs(self) -> AsyncIterator[Job]:
        assert self._come is not None
        while True:
            await self._come[1].wait()
            with self._lock:
                order = self._orders.popleft()
                if not self._orders:
                    self._come[1].clear()
                if order is None:
                    return
                job, asked = order
                self._taken.append(asked)
            yield job

    async def _work(self) -> None:
        with self._lock:
            self._come = asyncio.get_running_loop(), asyncio.Event()
            if self._orders:
                self._come[1].set()
        try:
            async with early() as self._early:
                await self._perform(await asyncio.wrap_future(self._place), self._early)
        except OSError:
            if not self.is_fresh:
                raise  # else nobody has asked for an answer yet, and whoever does starts another one
        finally:
            self._end()

    async def _perform(self, place: Place, process: Early) -> None:
        from lab.search.workers import Workers  # noqa: PLC0415 - see above; `begin` was called, so it is imported

        async with contextlib.aclosing(Workers(place, 1, process).perform(self._jobs())) as done:
            async for _, answer in done:
                with contextlib.suppress(InvalidStateError):  # nobody waits for it any more
                    self._taken.popleft().set_result(answer)

    def _end(self) -> None:
        """Whoever still waits for an answer is told that there is none."""
        with self._lock:
            self._over = True
            left = [*self._taken, *(order[1] for order in self._orders if order is not None)]
        for answer in left:
            answer.cancel()
