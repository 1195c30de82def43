"""Where those stand who cannot go on: their stacks, their lines of code, circles of lock waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from types import FrameType

from greenlet import greenlet

from lab.engine.gate import Actor
from lab.engine.ports import LockWaits
from lab.engine.watchdog import is_library, line_of
from lab.errors import UncontrolledError
from lab.model.trace import ActionKind

__all__ = [
    "awaited_by",
    "is_the_users",
    "line_of_task",
    "lost_in",
    "seconds_to_checks",
    "stack_of",
    "standing_still",
    "unanswered",
    "wait_in_a_circle",
]

SPAWN = "greenlet_spawn"
"""The coroutine of SQLAlchemy's that runs a function in a greenlet, and awaits for it."""
MAY_WAIT = frozenset({ActionKind.STATEMENT, ActionKind.FETCH})
"""What may begin to wait for a lock. So may a COMMIT where constraints are deferred, which no ring of users has."""


def lost_in(actors: Iterable[Actor]) -> dict[str, BaseException]:
    """What tasks that actors started raised, and nobody asked for."""
    lost = {}
    for actor in actors:
        task = actor.task
        # `_log_traceback`: nobody has asked for its exception. asyncio would only say so when the task is collected.
        if task is not None and task.done() and not task.cancelled() and getattr(task, "_log_traceback", False):
            error = task.exception()
            assert error is not None
            lost[actor.name] = error
    return lost


def line_of_task(task: asyncio.Task[object] | None) -> str:
    """File, line and text of the innermost line of code outside asyncio, anyio and the lab's libraries."""
    frames = stack_of(task)
    for frame in chain(filter(is_the_users, reversed(frames)), reversed(frames)):
        return line_of(frame.f_code.co_filename, frame.f_lineno)
    return "an unknown place"


def is_the_users(frame: FrameType) -> bool:
    """Whether a frame is of code outside Python, anyio and the lab's libraries."""
    filename = frame.f_code.co_filename
    return not ("/anyio/" in filename or is_library(filename))


def stack_of(task: asyncio.Task[object] | None) -> list[FrameType]:
    """The frames of a task that awaits something, from outside in, with those that stand still in greenlets."""
    frames: list[FrameType] = []
    for frame in awaited_by(task)[0]:
        frames.append(frame)
        if frame.f_code.co_name == SPAWN and is_library(frame.f_code.co_filename):
            frames += reversed(list(standing_still(frame)))
    return frames


def standing_still(spawn: FrameType) -> Iterator[FrameType]:
    """The frames of the function for which this coroutine of SQLAlchemy's awaits something, innermost first."""
    for value in spawn.f_locals.values():
        frame = value.gr_frame if issubclass(type(value), greenlet) else None
        while frame is not None:
            yield frame
            frame = frame.f_back


def awaited_by(task: asyncio.Task[object] | None) -> tuple[list[FrameType], object]:
    """Where a task stands that awaits something: its frames from outside in, and what the innermost awaits."""
    frames: list[FrameType] = []
    awaited: object = task.get_coro() if task is not None else None
    while True:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            frames.append(frame)
        following = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
        if following is None:
            return frames, awaited
        awaited = following


def unanswered(actors: Iterable[Actor], seconds: float) -> UncontrolledError:
    """Actors waited too long for a socket that is not the lab's, or a process of their own."""
    waiting = list(actors)
    names, places = ", ".join(each.name for each in waiting), "; ".join(line_of_task(each.task) for each in waiting)
    return UncontrolledError(
        f"{names} waited {seconds:g} s for a socket that is not the lab's, or a process; replace what is behind it in "
        f"the scenario, since the lab cannot control it: {places}"
    )


def wait_in_a_circle(actors: Iterable[Actor]) -> bool:
    """Whether waiting actors wait for each other's locks."""
    holders = {actor.name: actor.wait.holders for actor in actors if actor.wait}
    for name, first in holders.items():
        seen: set[str] = set()
        ahead = list(first)
        while ahead:
            if (following := ahead.pop()) not in seen:
                seen.add(following)
                ahead += holders.get(following, ())
        if name in seen:
            return True
    return False


async def seconds_to_checks(waits: LockWaits, waiting: Sequence[Actor], parked: Iterable[Actor]) -> float:
    """Where waits are not reported: how long deadlock checks are near. They come before the next decision."""
    if not waiting or waits.pushed:
        return 0.0
    return await waits.seconds_to_checks(
        [actor.backend.pid for actor in waiting if actor.backend is not None],
        in_a_circle=wait_in_a_circle(waiting),
        may_be_joined=any(actor.action.kind in MAY_WAIT for actor in parked),
    )
