"""What a hunt asks of its workers, between two executions.

The search never waits while there is something useful to do: where a worker is about to make the next execution, its
own process makes another one that is foreseen, and keeps it. The workers are started when the search has gone on for a
moment and as much is left that a start pays: a short one never pays for them. They import what they need
meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

from lab.schedulers import Shared
from lab.schedulers.course import Course
from lab.search.crew.desk import Desk, Figures
from lab.search.crew.hands import Hands
from lab.search.crew.made import Made
from lab.search.job import Job

__all__ = ["Crew"]

SEEN_SECONDS = 0.5
"""How long a search goes on before it says how long the rest will take."""
PAYS_SECONDS = 2.0
"""How much must be left for a start to pay: about what it costs, imports and a server of its own."""
GIVEN = 2
"""How many executions a worker has before it, so that it has one while the search is busy with its own. With more, the
search comes to some that are not begun."""
LONG = 100
"""A hunt of fewer executions is likely to be over before its workers could join."""
PATIENCE = 8
"""A worker is waited for as long as so many executions take, then the search makes that one itself."""
LEAST_PATIENCE_SECONDS = 0.2


class Crew:
    """The other workers of a search. Leave it with `aclose`, after `dismiss` where something else ends meanwhile."""

    def __init__(self, hands: Hands, job: Job) -> None:
        self._hands, self._job, self._desk = hands, job, Desk()
        self._began = time.monotonic()
        self._started = False
        if job.executions >= LONG and (job.seconds is None or job.seconds >= SEEN_SECONDS + PAYS_SECONDS):
            hands.prepare()

    @property
    def figures(self) -> Figures:
        """How it went."""
        return self._desk.figures

    async def execution(
        self, scheduler: Shared, number: int, make: Callable[[Course], Awaitable[Made]]
    ) -> tuple[Course, Made] | None:
        """The execution with this number, as somebody has made it before; None: the caller is to make it.

        `make` makes one in this process.
        """
        if not self._started:
            if self._pays(number):
                self._started = True
                self._hands.start()
            return None
        began = time.monotonic()
        while True:
            self._exchange()
            left = self._job.first + self._job.executions - number
            foreseen = self._desk.foreseen(scheduler.courses(number), left)
            if (first := next(foreseen, None)) is None:
                return None
            made = self._desk.take(first.key)
            self._hand_out(foreseen)
            if made is not None:
                return first, made
            if not self._desk.is_given(first.key):
                return None
            if (other := next(self._desk.free(foreseen), None)) is not None:
                self._desk.came(None, await make(other))
            else:
                self._wait()
                await asyncio.sleep(0)  # an interruption is heard here
            self._exchange()
            if self._desk.is_given(first.key) and time.monotonic() - began > self._patience(number):
                self._desk.recall(first.key)
                return None

    def refuse(self) -> None:
        """What was just given is of no use: the search makes it itself."""
        self._desk.refuse()

    def dismiss(self) -> None:
        """The search is over."""
        self._desk.close()
        self._hands.dismiss()

    async def aclose(self) -> None:
        """Returns when no worker is left."""
        await self._hands.aclose()

    def _exchange(self) -> None:
        for worker, made in self._hands.answers():
            self._desk.came(worker, made)
        for worker, words in self._hands.gone():
            self._desk.lost(worker)
            sys.stderr.write(f"lab: a worker process died, and the hunt went on without it: {words}\n")

    def _hand_out(self, foreseen: Iterator[Course]) -> None:
        """Let each worker have something before it; in turn, so that all come to the next executions together."""
        free = self._desk.free(foreseen)
        given: dict[int, list[Course]] = {}
        room = {worker: GIVEN - self._desk.outstanding(worker) for worker in self._hands.workers}
        for turn in range(GIVEN):
            for worker, most in room.items():
                if turn < most and (course := next(free, None)) is not None:
                    given.setdefault(worker, []).append(course)
                    self._desk.give(course, worker)
        for worker, courses in given.items():
            self._hands.give(worker, courses)

    def _wait(self) -> None:
        began = time.monotonic()
        self._hands.wait(LEAST_PATIENCE_SECONDS)
        self._desk.figures.waited += time.monotonic() - began

    def _patience(self, number: int) -> float:
        each = (time.monotonic() - self._began) / max(number - self._job.first, 1)
        return max(LEAST_PATIENCE_SECONDS, PATIENCE * each)

    def _pays(self, number: int) -> bool:
        gone, job = time.monotonic() - self._began, self._job
        left = gone / max(number - job.first, 1) * (job.first + job.executions - number)
        if job.seconds is not None:
            left = min(left, job.seconds - gone)
        return gone >= SEEN_SECONDS and left >= PAYS_SECONDS
