"""Where those stand who cannot go on: in a lock wait, in a circle of them, or at a line of code."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterable
from itertools import chain

from lab.engine.gate import Actor, State
from lab.engine.ports import Libraries
from lab.model.record import Stall

__all__ = ["stall_of", "wait_in_a_circle"]


def stall_of(actor: Actor, libraries: Libraries) -> Stall:
    """Where an actor stalled. A line of code in one of the libraries is no place of the user's."""
    if actor.state is State.WAITING:
        return Stall(actor.name, actor.action.text, actor.wait)
    return Stall(actor.name, _place(actor.task, libraries.sessions))


def _place(task: asyncio.Task[object] | None, library: str) -> str:
    """File, line and text of the innermost line of code outside asyncio, anyio and a library."""
    frames: list[tuple[str, int]] = []
    awaited: object = task.get_coro() if task is not None else None
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            frames.append((frame.f_code.co_filename, frame.f_lineno))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    own = [f for f in frames if not ("/asyncio/" in f[0] or "/anyio/" in f[0] or f[0].startswith(library))]
    for filename, line in chain(reversed(own), reversed(frames)):
        text = traceback.linecache.getline(filename, line).strip()  # type: ignore[attr-defined]
        return f"{filename}:{line}: {text}"
    return "an unknown place"


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
