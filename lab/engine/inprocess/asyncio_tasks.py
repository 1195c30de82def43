"""Tasks of asyncio that are waited for: by a task group, `wait`, `wait_for`, and by those that await them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any

from lab.engine.inprocess.family import Family, Seen, method, own

__all__ = ["FAMILY", "awaits"]


def _group(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return _tasks("the tasks of its asyncio.TaskGroup", own(frame)._tasks)  # noqa: SLF001 - nothing public says it


def _wait(frame: FrameType, deeper: Sequence[FrameType]) -> Seen:
    return _tasks("asyncio.wait", frame.f_locals.get("fs", ()))


def _wait_for(frame: FrameType, deeper: Sequence[FrameType]) -> Seen | None:
    awaited = frame.f_locals.get("fut")
    return awaits(awaited) if asyncio.isfuture(awaited) else None


def awaits(awaited: Any) -> Seen:
    """What a task waits for that awaits a future itself."""
    if isinstance(awaited, asyncio.Task):
        return _tasks("a task", [awaited])
    if children := getattr(awaited, "_children", None):  # what `gather` returns
        return _tasks("asyncio.gather", children)
    return Seen("a Future", awaited, "which has no result", "give it one")


def _tasks(kind: str, tasks: Iterable[Any]) -> Seen:
    return Seen(kind, owners=tuple(each for each in tasks if not each.done()), ends=True)


FAMILY = Family(
    "asyncio tasks",
    {
        method(asyncio.TaskGroup.__aexit__): _group,
        method(asyncio.wait): _wait,
        method(asyncio.wait_for): _wait_for,
    },
)
