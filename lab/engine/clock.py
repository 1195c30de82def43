"""The clock that actors read: it stands still but for steps, sleeps and timeouts, and no real time passes.

Wall-clock time (`time.time`, `datetime.now`, `date.today` and all that rest on them) is replaced for the whole process
by time-machine, in C, so that modules which imported a function by name read it too; setup and invariants read the
same clock. `time.monotonic`, on which the event loop's own time rests, and `time.sleep` are replaced for the code of
actors only: the lab's own waits stay real.

The execution begins at the real time at which the explorer was made, to the second. The server's clock is its own, and
an application compares the two (`WHERE expires_at < now()`). Where the lab may move it, it begins at the same moment
and makes each leap of this one; in between it runs on, since PostgreSQL's own timers rest on it (docs/architecture.md,
"The server's clock").

Out of reach: `from time import monotonic` at a module's import, and `time.perf_counter`, which measures and is
never kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from lab.engine.gate import Actor, current_actor
from lab.engine.ports import ServerClock
from lab.engine.travel import time_machine
from lab.errors import UsageError
from lab.model.server_time import ServerTime
from lab.model.virtual_time import SECOND, VirtualTime

__all__ = ["Clock", "Timer", "Timers"]


LONG_SECONDS = 1.0
"""No operation takes so long by the load of a machine alone, which is some milliseconds."""

LATE_ALARM = 11_000
"""Microseconds that the server's clock leaps beyond a leap of a second or more.

PostgreSQL takes an alarm that it set for coming until it is 10 ms late, and sets no other: without this, a
`statement_timeout` as long as a sleep would keep the report of a lock wait back."""


class Timer(asyncio.TimerHandle):
    """A timer that an actor's code set: it fires by decision, and the real loop does not know it."""

    actor: str
    """The root actor whose code set it."""
    due: int
    """How much time has passed when it is due, as `VirtualTime.passed`."""
    seconds: float
    """How far ahead it was set."""

    def fire(self) -> None:
        """Call it back as the loop would."""
        self._loop.call_soon(self._run)  # type: ignore[attr-defined]


class Timers:
    """The timers of one execution, until they fire or are cancelled."""

    def __init__(self) -> None:
        self._set: list[Timer] = []

    def add(self, timer: Timer) -> None:
        """Keep a timer."""
        self._set.append(timer)

    def first(self, *actors: str) -> Timer | None:
        """The one that is due first, of these actors if any are named; of several, the one that was set first."""
        if not self._set:
            return None
        self._set = [timer for timer in self._set if not timer.cancelled()]
        own = [timer for timer in self._set if not actors or timer.actor in actors]
        return min(own, key=lambda timer: timer.due, default=None)

    def remove(self, timer: Timer) -> None:
        """Forget one that fires."""
        self._set.remove(timer)


class Clock:
    """The clock of an explorer's executions. It begins anew in each. `server`: the server's, where it may be moved.

    It begins with the second that runs, or so many seconds `later`: where a setup holds rows that were stored just now,
    beside the lab, their times are to be past in every execution.
    """

    server: ServerTime
    """What the server's clock shows in the execution that runs. Known from its setup on, or from where actors begin."""

    def __init__(self, server: ServerClock | None = None, later: int = 0) -> None:
        self.time = VirtualTime(int(time.time()) + later)
        self._moved = server
        self._set_up = 0
        """How far from the beginning, in microseconds, the server's clock was after the last setup in an execution."""
        self._lead = 0
        """The most that was in any execution."""
        self._monotonic = time.monotonic()
        self._traveller: Any = None
        self.timers = Timers()
        self._moving = threading.RLock()
        """Threads of actors sleep beside each other, and each moves the clock."""

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """One execution: the whole process reads this clock. Raises `UsageError` where another library holds it."""
        self.time.begin()
        self.timers = Timers()
        self._set_up = 0
        travel = time_machine.travel(self.time.began // SECOND, tick=False)
        try:
            self._traveller = travel.start()
        except RuntimeError as error:
            raise UsageError(f"the lab sets the clock of its actors, and something else holds it: {error}") from error
        try:
            self._shift(self.time.began % SECOND)
            yield
        finally:
            travel.stop()
            if self._moved is not None:
                self._moved.run_ahead(0)

    @property
    def server_follows(self) -> bool:
        """Whether the server's clock makes the leaps of this one."""
        return self._moved is not None

    @contextlib.contextmanager
    def setting_up(self, earlier: int) -> Iterator[None]:
        """A setup or a schema hook, so many microseconds before the beginning.

        What it stores may show the server's clock: for no actor is that still to come.
        """
        self._let_server_show(self.time.began + self._set_up - earlier)
        try:
            yield
        finally:
            self._set_up = max(self._set_up, self.server.now - self.time.began)
            self._lead = max(self._lead, self._set_up)

    def actors_begin(self) -> None:
        """The tables are as the setup left them. From here on the server's clock is the same in each execution."""
        self._let_server_show(self.time.began + self._lead)

    def _let_server_show(self, moment: int) -> None:
        """Set the server's clock where that is possible; else it shows the machine's time."""
        self.server = ServerTime(_machine_time, ahead=0 if self._moved is None else moment - _machine_time())
        if self._moved is not None:
            self._moved.run_ahead(self.server.ahead)

    def _let_server_leap(self, microseconds: int) -> None:
        if self._moved is not None and microseconds:
            self.server.move(microseconds + (LATE_ALARM if microseconds >= SECOND else 0))
            self._moved.run_ahead(self.server.ahead)

    def step_of(self, actor: Actor) -> None:
        """A step of this actor begins: a microsecond passes, and if it slept, the rest of its sleep."""
        with self._moving:
            step, slept = self.time.step(), 0
            if actor.wakes is not None:
                slept = self.time.move_to(actor.wakes)
                actor.wakes = None
            self._shift(step + slept)
            self._let_server_leap(slept)

    def move_to(self, passed: int) -> None:
        """Let time pass, if it has not, until so much has passed since the beginning, as `VirtualTime.passed`."""
        with self._moving:
            if moved := self.time.move_to(passed):
                self._shift(moved)
                self._let_server_leap(moved)

    def monotonic(self) -> float:
        """What an actor reads as `time.monotonic()`, and as the time of its event loop."""
        return self._monotonic + self.time.elapsed

    def call_at(self, actor: Actor, when: float, *call: Any, context: contextvars.Context | None = None) -> Timer:
        """A timer of this actor's, for when `monotonic` says `when`. `call` is the callback with its arguments."""
        callback, *args = call
        timer = Timer(when, callback, args, asyncio.get_running_loop(), context)
        timer.actor = actor.root.name
        timer.seconds = when - self.monotonic()
        timer.due = self.time.after(timer.seconds)
        self.timers.add(timer)
        return timer

    def fire(self, timer: Timer) -> None:
        """Let time pass until a timer is due, and a microsecond more, since its setter may look whether it is late."""
        self.timers.remove(timer)
        self.move_to(timer.due)
        self._shift(self.time.step())
        timer.fire()

    def fire_overdue(self, actors: list[Actor], waited: float) -> None:
        """Fire the first timeout of actors whose operation has been under way for so many seconds of real time.

        What the server or a thread works on takes real time, so a timeout around it must come as it does in
        production. Only long after it, as computers count: how fast this machine is has no part in a schedule.
        """
        if actors and (timer := self.timers.first(*(actor.root.name for actor in actors))) is not None:
            left = (timer.due - self.time.passed) / SECOND
            if waited >= max(left, LONG_SECONDS):
                self.fire(timer)

    def _shift(self, microseconds: int) -> None:
        self._traveller.shift(microseconds / SECOND)

    @contextlib.contextmanager
    def read_by_actors(self) -> Iterator[None]:
        """Until the block ends, actors read this clock where a process has only one: `time.monotonic`, `time.sleep`."""
        monotonic, sleep = time.monotonic, time.sleep
        time.monotonic, time.sleep = self._monotonic_before(monotonic), self._sleep_before(sleep)
        try:
            yield
        finally:
            time.monotonic, time.sleep = monotonic, sleep

    def _monotonic_before(self, real: Callable[[], float]) -> Callable[[], float]:
        def monotonic() -> float:
            return real() if current_actor() is None else self.monotonic()

        return monotonic

    def _sleep_before(self, real: Any) -> Any:
        """A sleep that blocks the event loop, or a thread. What it waits for may be another thread, so it is real."""

        def sleep(seconds: float, /) -> None:
            real(seconds)
            if current_actor() is not None:
                with self._moving:
                    self.move_to(self.time.after(seconds))

        return sleep


def _machine_time() -> int:
    """Microseconds since 1970, whatever the actors read."""
    return int(time_machine.escape_hatch.time.time_ns()) // 1000
