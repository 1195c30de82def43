"""Keeps the process that the user started apart from the code that scenarios bring.

Modules, actors, setups and invariants may do anything, ending the interpreter with `os._exit(0)` included, and an exit
status of 0 means that a hunt passed. So the work is done in a child process, forked before the first module is
imported, and the parent takes its exit status only from the end mark that the child writes into a pipe. The
alternative, replacing `os._exit`, would not hold for `execv`, for C code and for signals.

Standard output is for the answer alone. What code in the child prints goes to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import math
import os
import re
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from types import FrameType
from typing import IO, Any, TypeVar

import click

from lab.commands.console import out, show_failure
from lab.engine.watchdog import Watchdog, is_library, leave_if_forked, place_of, watched
from lab.errors import Interrupted, UncontrolledError
from lab.model.bounds import Bounds
from lab.search.lifeline import let_go_on
from lab.search.streams import answers_aside

__all__ = ["BROKEN", "Guard", "guarded", "violation_shown"]

VIOLATION, BROKEN = 1, 3
SO_FAR = 0x80
"""Set in a mark that is not the last: the status if the process does not come to an end of its own."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_PRESS_SECONDS = 1.0
"""A terminal sends Ctrl-C to parent and child, and the parent passes it on: within this time it is the same one. On a
loaded machine the parent comes to that late, and what it passes on must not pass for a second press."""
ANSWER_SECONDS = 1.4
"""How long the child may take to end itself after a signal."""
LINGER_SECONDS = 1.0
"""How long the child may take to go once its answer is written: threads and `atexit` functions of the user's."""
PR_SET_PDEATHSIG = 1
Result = TypeVar("Result")
_FRAME = re.compile(r'File "(.+)", line (\d+) in (\S+)')


class Guard:
    """The child's side: its end mark, where answers go, and what a signal does."""

    def __init__(self, mark: int, seal: bytes, answers: IO[str], dog: Watchdog) -> None:
        self.answers = answers
        """What standard output was when the lab was started."""
        self._mark, self._seal, self._process = mark, seal, os.getpid()
        self._dog = dog
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._pressed = 0.0
        self._found = False
        self._runner = asyncio.Runner()
        self.watched: contextlib.ExitStack | None = None
        """What watches the process until it ends; held here so that it is not collected."""

    def violation_shown(self) -> None:
        """Should the process be ended before it is done, it has found something all the same."""
        self._found = True
        with contextlib.suppress(OSError):
            os.write(self._mark, self._seal + bytes([SO_FAR | VIOLATION]))

    def end(self, status: int) -> int:
        """The work is done and its answer written: set the mark, then let go of what is left, however long it takes.

        Returns the status that it comes to: that of a violation, if one was shown before the work was interrupted.
        """
        leave_if_forked(self._process)
        if status == BROKEN and self._pressed and self._found:
            status = VIOLATION
        with contextlib.suppress(OSError):
            os.write(self._mark, self._seal + bytes([status]))
        with contextlib.suppress(BaseException):  # tasks and threads that were left behind
            self._runner.close()
        return status

    def leave(self, sentence: str) -> None:
        """End the process at once."""
        with contextlib.suppress(Exception):
            os.write(2, f"lab: {sentence}\n".encode(errors="backslashreplace"))
            os.write(self._mark, self._seal + bytes([BROKEN]))
        os.kill(os.getpid(), signal.SIGKILL)

    def press(self, number: int, frame: FrameType | None) -> None:
        """A signal asks the process to end: cancel what runs, so that what was found is shown."""
        now = time.monotonic()
        if now - self._pressed < SAME_PRESS_SECONDS:
            return
        again, self._pressed = bool(self._pressed), now
        self._dog.hurry()
        if self._task is None or self._loop is None:
            return  # nothing runs yet; what comes first looks
        if again:
            raise Interrupted
        if not self._task.done():
            self._task.cancel()
            self._loop.call_soon_threadsafe(lambda: None)

    def run(self, command: Coroutine[Any, Any, Result]) -> Result:
        """Run the work in an event loop; returns what it came to."""

        async def work() -> Result:
            self._loop = asyncio.get_running_loop()
            self._task = self._dog.work = asyncio.current_task()
            _listen(self.press)
            if self._pressed:
                command.close()
                raise asyncio.CancelledError
            result = await command
            self.answers.flush()
            return result

        try:
            return self._runner.run(work())
        except asyncio.CancelledError:
            raise Interrupted from None
        except SystemExit as error:
            raise UncontrolledError(f"code raised SystemExit in the event loop: {place_of(error)}") from error
        except RuntimeError as error:
            if self._task is None or self._task.done():
                raise
            what = self._dog.doing or "what was run"
            raise UncontrolledError(f"the event loop was stopped by {what}") from error
        finally:
            if self._task is not None and self._task.done() and not self._task.cancelled():
                self._task.exception()  # or asyncio would say that nobody retrieved it


_GUARD: ContextVar[Guard] = ContextVar("guard")


def violation_shown() -> None:
    """A violation is on the screen."""
    if guard := _GUARD.get(None):
        guard.violation_shown()


def _listen(press: Callable[[int, FrameType | None], None]) -> None:
    """Signals that ask the process to end; those that were ignored when it was started (`nohup`) stay ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, press)


def guarded(bounds: Bounds) -> Guard:
    """Fork. Only the child returns, with its guard; the parent waits for it and leaves by `click.exceptions.Exit`."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    reader, mark = os.pipe()
    seal = os.urandom(16)  # code of the user's may write to every descriptor that it finds
    dump = tempfile.TemporaryFile()  # noqa: SIM115 - for the life of both processes
    parent = os.getpid()
    # Until both have their handlers: an exception in what Python itself does after a fork would be lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    child = os.fork()
    if child:
        os.close(mark)
        with dump:
            raise click.exceptions.Exit(_wait_for(child, reader, seal, dump))
    os.close(reader)
    _end_with(parent)
    answers = answers_aside()
    out.file = answers

    def leave(sentence: str) -> None:
        guard.leave(sentence)

    block = contextlib.ExitStack()
    dog = block.enter_context(watched(bounds, leave, dump.fileno()))
    guard = Guard(mark, seal, answers, dog)
    guard.watched = block
    _GUARD.set(guard)
    _listen(guard.press)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return guard


def _end_with(parent: int) -> None:
    """On Linux: should the parent be killed, the child goes as well."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def _wait_for(child: int, reader: int, seal: bytes, dump: IO[bytes]) -> int:
    """The parent's side: pass signals on until the child is gone; returns the exit status."""
    pressed = 0.0

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = pressed or time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    wake, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    _listen(press)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    mark, listening, until = _EndMark(reader, seal), [reader, wake], math.inf
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if pressed and mark.status is None:
            until = pressed + ANSWER_SECONDS
        left = None if until == math.inf else max(0.0, until - time.monotonic())
        if left == 0.0:
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        ready = select.select(listening, [], [], left)[0]
        if wake in ready:
            os.read(wake, 4096)
            let_go_on(child)
        if reader in ready and not mark.read():
            listening.remove(reader)
            if mark.status is not None:
                until = time.monotonic() + (0.2 if pressed else LINGER_SECONDS)
    while reader in listening and select.select([reader], [], [], 0.0)[0] and mark.read():
        pass
    return _status(mark, ended[1], dump, interrupted=bool(pressed))


def _status(mark: _EndMark, ended: int, dump: IO[bytes], *, interrupted: bool) -> int:
    """What a child that is gone came to. Where it has not said so itself, that is said here."""
    if mark.status is not None:
        return mark.status
    why = _why(os.waitstatus_to_exitcode(ended), dump, interrupted=interrupted)
    click.echo(f"lab: {why}", err=True)
    if interrupted and mark.so_far is not None:
        return mark.so_far
    show_failure(why, BROKEN)
    return BROKEN


class _EndMark:
    """What the child writes when its work is done: the seal that only this process gave it, and its exit status."""

    def __init__(self, reader: int, seal: bytes) -> None:
        self.status: int | None = None
        self.so_far: int | None = None
        """What the child would have come to, had it gone no further."""
        self._reader, self._seal, self._said = reader, seal, b""

    def read(self) -> bool:
        """Read what is there, also what others have written. Whether there is anything to wait for."""
        self._said += (more := os.read(self._reader, 4096))
        for after in filter(None, self._said.split(self._seal)[1:]):
            if after[0] & SO_FAR:
                self.so_far = after[0] & ~SO_FAR
            else:
                self.status = after[0]
        return bool(more) and self.status is None


def _why(code: int, dump: IO[bytes], *, interrupted: bool) -> str:
    """Why the child is gone without an answer."""
    if interrupted:
        return "interrupted; what ran did not stop, so its process was ended"
    dump.seek(0)
    frames = _FRAME.findall(dump.read().decode(errors="replace"))
    if frames:
        own = [f"{name}:{line} in {function}" for name, line, function in frames if not is_library(name)]
        return f"a single instruction took too long, so the process was ended: {(own or ['outside scenario code'])[0]}"
    how = f"with exit status {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
    return f"the process ended {how} before the command was done; code that was imported or run must have ended it"
