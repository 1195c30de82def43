"""Watches how long code of the user's takes, and says where it was when it took too long.

Code that awaits is noticed by the event loop. Code that does not (a loop, `time.sleep`) holds up the loop, too; only a
signal reaches it. Where the lab owns the process, a timer's signal calls `bark` in the main thread, between two
instructions of whatever runs there, and an exception raised in it comes out of that code.

Bounds only end a hunt: what a scheduler sees never depends on them.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import linecache
import math
import os
import signal
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from time import monotonic  # the name, so that it is the real time also in the code of actors
from types import FrameType, TracebackType
from typing import Any

from lab.errors import Interrupted
from lab.model.bounds import OPTIONS, Bounds

__all__ = [
    "Overdue",
    "Watchdog",
    "bounds",
    "hurried",
    "importing",
    "is_library",
    "leave_if_forked",
    "line_of",
    "place_of",
    "watchdog",
    "watched",
]

_OURS = (f"{Path(sys.modules['lab'].__file__ or '').parent}/", f"{Path(asyncio.__file__).parent}/")
_COMPILED = ("asyncpg/", "lib/sqlalchemy/")
"""How compiled modules name their files: relative to where they were built."""
_FOLDERS = ("/site-packages/asyncpg/", "/site-packages/sqlalchemy/")
"""Code of these is never broken into: an exception in the middle of it would leave it in a state that it never has."""
_SLEEP = (f"{_OURS[0]}engine/clock.py", "sleep")
"""What stands in for `time.sleep` in the code of actors; it may be broken into as that may."""
TICK_SECONDS = 0.2
"""How often a process of the lab's own is looked at."""
HURRY_SECONDS = 0.4
GRACE_SECONDS = 2.0
"""How long code that catches even `Overdue` may go on, or one in C that lets no signal through."""
_LIBRARY = f"{sysconfig.get_paths()['stdlib']}/"


class Overdue(asyncio.CancelledError):
    """Raised in code that takes too long. As a cancellation it passes through code that catches every `Exception`."""


class Watchdog:
    """What code of the user's is doing, and until when it may."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.doing = ""
        """Whose code runs, for a sentence; "" while none does."""
        self.until = 0.0
        self.overdue = ""
        """Why and where the code that ran last was broken off; "" if it was not."""
        self.has_begun = False
        """Whether code of a scenario has run, here or in a worker: from then on there may be something to show."""
        self.work: asyncio.Task[Any] | None = None
        """The task that a hurry ends, where the lab owns the process."""
        self._hurry = math.inf
        self._insisted = False
        self._bound = "step"

    def begin(self, doing: str, bound: str) -> None:
        """Code of the user's begins to run; `bound` is a field of `Bounds`."""
        self.doing, self._bound = doing, bound
        self.has_begun = self.has_begun or bound != "imports"
        self.until = monotonic() + self.seconds

    def end(self) -> None:
        """It ran to its end."""
        self.doing = ""

    @contextlib.contextmanager
    def during(self, doing: str, bound: str) -> Iterator[None]:
        """Code of the user's runs in this block."""
        self.begin(doing, bound)
        self.overdue = ""
        try:
            yield
        finally:
            self.end()

    @property
    def seconds(self) -> float:
        """How long the code that runs may take."""
        seconds: float = getattr(self.bounds, self._bound)
        return seconds

    def hurry(self) -> None:
        """The hunt is to end: from soon on, code that does not await is broken off whatever its bound is."""
        self._hurry = monotonic() + HURRY_SECONDS

    @property
    def hurried(self) -> bool:
        """Whether the hunt is to end soon."""
        return self._hurry < math.inf

    @property
    def late(self) -> float:
        """By how many seconds the code that runs is over its bound; not positive if it is not."""
        return monotonic() - min(self.until, self._hurry) if self.doing else -1.0

    @property
    def within_bounds(self) -> bool:
        """Whether the code that runs has not taken too long, whatever hurry there is."""
        return monotonic() <= self.until

    @property
    def left(self) -> float:
        """How many seconds the code that runs has, or any that begins now."""
        longest = max(self.bounds.step, self.bounds.setup, self.bounds.invariant, self.bounds.imports)
        return max(self.until - monotonic(), 0.0) if self.doing else longest

    def sentence(self, place: str) -> str:
        """Who took how long, and where it was."""
        return f"{self.doing} took more than {self.seconds:g} s (--{OPTIONS[self._bound]}): {place}"

    def bark(self, frame: FrameType | None) -> None:
        """Called by a timer. Raises `Overdue` in code of the user's that takes too long without awaiting anything."""
        if self.late > 0 and (place := place_in(frame)):
            if self.within_bounds:
                raise Interrupted
            self.overdue = self.sentence(place)
            raise Overdue(self.overdue)
        if self._is_unheard:
            self._insisted = True
            raise Interrupted

    @property
    def _is_unheard(self) -> bool:
        """Whether a cancelled task has not ended before any scenario began: what it waits for does not await.

        Cancelling comes first since an exception that a signal raises can be lost: finalizers, comparisons called from
        C and tracers throw it away, or make another one of it.
        """
        unfinished = self.work is not None and not self.work.done()
        return unfinished and not self.has_begun and not self._insisted and monotonic() > self._hurry


watchdog: ContextVar[Watchdog | None] = ContextVar("lab_watchdog", default=None)
"""The watchdog of this process, or of this event loop's task where there are several."""


def bounds() -> Bounds:
    """The bounds in force here."""
    dog = watchdog.get()
    return Bounds() if dog is None else dog.bounds


def hurried() -> bool:
    """Whether this process was asked to end: what another process clears away is not waited for then."""
    dog = watchdog.get()
    return dog is not None and dog.hurried


def importing() -> contextlib.AbstractContextManager[None]:
    """The time in which modules of the user's are imported."""
    return (watchdog.get() or Watchdog()).during("what is imported", "imports")


def place_in(frame: FrameType | None) -> str:
    """Where code of the user's is, when the innermost code that runs is its own or the standard library's; else ""."""
    while frame is not None:
        name = frame.f_code.co_filename
        ours = name.startswith((*_OURS, *_COMPILED)) or any(folder in name for folder in _FOLDERS)
        if ours and (name, frame.f_code.co_name) != _SLEEP:
            return ""
        if not is_library(name):
            return line_of(name, frame.f_lineno)
        frame = frame.f_back
    return ""


def is_library(filename: str) -> bool:
    """Whether a file is Python's, the lab's own or of what it stands on."""
    return filename.startswith((*_OURS, *_COMPILED, _LIBRARY, "<")) or any(folder in filename for folder in _FOLDERS)


def line_of(filename: str, number: int) -> str:
    """A line of code as sentences name it: file, number and text."""
    return f"{filename}:{number}: {linecache.getline(filename, number).strip()}"


def place_of(error: BaseException, otherwise: str = "an unknown place") -> str:
    """The innermost line of the user's that an error came through."""
    found, trace = otherwise, error.__traceback__
    while isinstance(trace, TracebackType):
        name = trace.tb_frame.f_code.co_filename
        if not is_library(name):
            found = line_of(name, trace.tb_lineno)
        trace = trace.tb_next
    return found


def leave_if_forked(process: int) -> None:
    """End this process if it is not `process`: an actor forked it, and it would go on with the lab's own work."""
    if os.getpid() != process:
        os._exit(1)


@contextlib.contextmanager
def watched(limits: Bounds, leave: Callable[[str], None], dump: int) -> Iterator[Watchdog]:
    """Own this process for the time of the block: break off what takes too long, and end the process if that fails.

    `leave` is called with the reason when code goes on in spite of `Overdue`; it ends the process. Where one
    instruction takes too long (a regular expression that backtracks), the interpreter writes to the file `dump` where
    it is, and exits. Call it in the main thread.
    """
    dog = Watchdog(limits)

    def tick(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(ValueError, OSError):  # a file that somebody closed
            faulthandler.dump_traceback_later(dog.left + GRACE_SECONDS, exit=True, file=dump)
        if dog.late > GRACE_SECONDS and (place := place_in(frame)):
            leave(dog.sentence(place))
        dog.bark(frame)

    token = watchdog.set(dog)
    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, TICK_SECONDS, TICK_SECONDS)
    try:
        yield dog
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()
        watchdog.reset(token)
