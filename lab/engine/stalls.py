"""Where those stand who cannot go on: in a lock wait, in a circle of them, or at a line of code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import chain
from types import FrameType

from lab.engine.gate import Actor, State
from lab.engine.ports import LockWaits
from lab.engine.watchdog import is_library, line_of
from lab.errors import UncontrolledError
from lab.model.record import Stall
from lab.model.trace import ActionKind

__all__ = ["awaited_by", "line_of_task", "lost_in", "seconds_to_checks", "stall_of", "unanswered", "wait_in_a_circle"]

MAY_WAIT = frozenset({ActionKind.STATEMENT, ActionKind.FETCH})
"""What may begin to wait for a lock. So may a COMMIT where constraints are deferred, which no ring of users has."""


def stall_of(actor: Actor) -> Stall:
    """Where an actor stalled."""
    if actor.state is State.WAITING:
        return Stall(actor.name, actor.action.text, actor.wait)
    return Stall(actor.name, line_of_task(actor.task))


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
    frames = [(frame.f_code.co_filename, frame.f_lineno) for frame in awaited_by(task)[0]]
    own = [f for f in frames if not ("/anyio/" in f[0] or is_library(f[0]))]
    for filename, line in chain(reversed(own), reversed(frames)):
        return line_of(filename, line)
    return "an unknown place"


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
