"""Notes which line of the user's code causes each step, in the executions that are reported.

An actor parks deep within libraries, in its own stack: the lines that led there can be read off that stack, and only
then. SQLAlchemy runs its synchronous core in a greenlet, so the stack is in pieces. A greenlet goes on in its parent,
where a coroutine started it; and a coroutine that the core awaits runs in the parent, while the core's own frames, with
code of the user's that `run_sync` called among them, stand still in the greenlet.

A task begins where it was made. One that runs nothing of the user's, such as that in which SQLAlchemy closes a session,
stands for the line at which the actor waits for it.

An execution that nobody reports is no `Noting`, so searching pays nothing. Only file, line and function are noted;
everything else is worked out afterwards.
"""

from __future__ import annotations

import asyncio.events
import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from traceback import walk_tb
from types import CodeType, FrameType

from greenlet import getcurrent, greenlet

from lab.engine.clock import Clock
from lab.engine.execution import Execution
from lab.engine.gate import Actor, State, current_actor
from lab.engine.inprocess.book import Book, Taking
from lab.engine.inprocess.hooks import noted
from lab.engine.ports import Ports
from lab.engine.stalls import SPAWN, awaited_by, standing_still
from lab.engine.watchdog import is_library, line_of
from lab.errors import DEFECTS, defect
from lab.model.origin import Line, Origin
from lab.model.trace import Action, Trace

__all__ = ["Noting"]

_ASYNCIO, _LAB = f"{Path(asyncio.__file__).parent}/", f"{Path(__file__).parents[1]}/"
_INSTALLED = ("/site-packages/", "/dist-packages/")
_BENEATH = ("anyio", "greenlet", "lab")
"""Installed packages whose code is nobody's but the lab's, beside those that `is_library` knows."""
_SENDS = "httpx"
"""What the lab itself sends the requests of a race through: where it is outermost, it is not the actor's own code."""

Stack = tuple[tuple[CodeType, int], ...]
"""Code and line number, innermost first."""


class Noting(Execution):
    """An execution that notes where each action of an actor comes from."""

    def __init__(self, ports: Ports, clock: Clock) -> None:
        super().__init__(ports, clock)
        self._sessions, self._pools_noted = ports.libraries.sessions, ports.libraries.pools_noted
        self._noted: dict[int, tuple[Action, Stack]] = {}
        """By the `id` of an action: equal ones come from other lines. It is kept, lest another one gets the `id`."""
        self._made: dict[Actor, Stack] = {}
        """Where the tasks of actors were made."""
        self.defect = ""
        """Why a line could not be found, as a sentence; "" if each could."""
        self.book = Book()
        """Who took what in the process."""

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """The time in which it is noted who takes what in the process."""
        with noted(self.takes, self.gives), self._pools_noted(self.takes, self.gives):
            yield

    def takes(self, thing: object) -> None:
        """The running actor took something of which there is only so much."""
        actor = current_actor()
        if actor is None or self.closing:
            return
        stack = self._stack(actor)
        place = line_of(stack[0][0].co_filename, stack[0][1]) if stack else ""
        users = next((each for each in _running(self._sessions) if not _is_beneath(each.f_code.co_filename)), None)
        direct = users is not None and not is_library(users.f_code.co_filename)
        self.book.takes(Taking(thing, actor, place, self.step, direct))

    def gives(self, thing: object) -> None:
        """Somebody gave it back."""
        self.book.gives(thing, current_actor())

    def settled(self, actor: Actor) -> None:
        """An actor came to rest. If it parked, this runs in its own stack."""
        if actor.state is State.PARKED and id(actor.action) not in self._noted:
            self._noted[id(actor.action)] = actor.action, self._stack(actor)
        super().settled(actor)

    def adopt(self, parent: Actor) -> Actor:
        """A task that an actor starts, from the actor's own stack."""
        actor = super().adopt(parent)
        self._made[actor] = self._stack(parent)
        return actor

    def _stack(self, actor: Actor) -> Stack:
        try:
            return self._read(actor)
        except DEFECTS as error:
            self.defect = self.defect or defect("find the line of code behind each step", error)
            return ()

    def _read(self, actor: Actor) -> Stack:
        stack = _own(_running(self._sessions))
        if not stack:
            stack = _own(reversed(awaited_by(actor.task)[0]))
        return stack + self._made.get(actor, ())

    def origins(self, trace: Trace) -> tuple[Origin | None, ...]:
        """Where each step comes from, None for those of which no line is known."""
        named, unknown = _names(), (None, ())
        return tuple(_origin(self._noted.get(id(step.action), unknown)[1], named) for step in trace)

    def raised(self, errors: Mapping[str, BaseException]) -> Mapping[str, Line]:
        """Where in the user's code each error was raised; one of the lab's own stands for what it was raised from."""
        named, lines = _names(), {}
        for name, error in errors.items():
            raised = error.__cause__ if type(error).__module__.startswith("lab.") else error
            frames = [] if raised is None else [(each.f_code, line) for each, line in walk_tb(raised.__traceback__)]
            stack = tuple(each for each in reversed(frames) if not _is_hidden(each[0].co_filename))
            if (origin := _origin(stack, named)) is not None:
                lines[name] = Line(origin.file, origin.line, origin.function)
        return lines


def _running(sessions: str) -> Iterator[FrameType]:
    """The frames of the task that runs, innermost first, through all the greenlets that they are in."""
    current: greenlet | None = getcurrent()
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
    while current is not None:
        while frame is not None:
            if frame.f_code.co_filename == asyncio.events.__file__:
                return
            if frame.f_code.co_name == SPAWN and frame.f_code.co_filename.startswith(sessions):
                yield from standing_still(frame)
            yield frame
            frame = frame.f_back
        current = current.parent
        frame = None if current is None else current.gr_frame


def _own(frames: Iterable[FrameType]) -> Stack:
    """Those that are not Python's, the lab's or of what both stand on."""
    return tuple((each.f_code, each.f_lineno) for each in frames if not _is_hidden(each.f_code.co_filename))


@lru_cache(maxsize=2000)
def _is_hidden(filename: str) -> bool:
    inside = _inside(filename)
    if inside:  # Python's own folder may hold that of the installed packages
        return is_library(f"/site-packages/{inside}") or _home(filename) in _BENEATH
    return is_library(filename)


@lru_cache(maxsize=2000)
def _is_beneath(filename: str) -> bool:
    """Whether a file is of what a lock is reached through: asyncio, anyio, the lab."""
    return filename.startswith((_ASYNCIO, _LAB, "<")) or _home(filename) in _BENEATH


def _inside(filename: str) -> str:
    """A file's place below the folder of installed packages, "" for one that is not there."""
    return next((filename.rpartition(mark)[2] for mark in _INSTALLED if mark in filename), "")


def _home(filename: str) -> str:
    """The installed package or module that a file belongs to, "" for one of a project."""
    return _inside(filename).partition("/")[0]


def _origin(stack: Stack, named: Callable[[str], str]) -> Origin | None:
    """The innermost line that is of a project, or of the package that the actor's function is of; None without one."""
    homes = {"", *(_home(each.co_filename) for each, _ in stack[-1:])} - {_SENDS}
    code, line = next((each for each in stack if _home(each[0].co_filename) in homes), (None, 0))
    if code is None:
        return None
    path = tuple(_line(*each, named) for each in reversed(stack))
    own = _line(code, line, named)
    return Origin(own.file, own.line, own.function, path)


def _line(code: CodeType, line: int, named: Callable[[str], str]) -> Line:
    return Line(named(code.co_filename), line, code.co_qualname)


def _names() -> Callable[[str], str]:
    """Makes names of files relative, as the working folder and the search path are now."""
    found = sorted(filter(None, sys.path), key=len, reverse=True)
    roots = [f"{each.rstrip(os.sep)}{os.sep}" for each in (_here(), *found)]
    return lru_cache(maxsize=None)(lambda filename: _relative(filename, [each for each in roots if each != os.sep]))


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # somebody removed it
        return ""


def _relative(filename: str, roots: Sequence[str]) -> str:
    root = next((each for each in roots if filename.startswith(each)), "")
    return _inside(filename) or (filename.removeprefix(root) if root else Path(filename).name)
