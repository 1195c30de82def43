"""The time in which an operation of an actor is under way on a connection."""

from __future__ import annotations

import asyncio
import contextlib

from lab.engine.gate import Actor
from lab.engine.ports import Backend

__all__ = ["Flight"]


class Flight(contextlib.AbstractContextManager[None]):
    """That time, as a block. There are dozens in an execution, so it is no generator."""

    __slots__ = ("_actor", "_backend", "_outer")

    def __init__(self, actor: Actor, backend: Backend) -> None:
        self._actor, self._backend = actor, backend
        self._outer: Backend | None = None

    def __enter__(self) -> None:
        self._outer = self._actor.departs(self._backend)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            self._actor.running_again()
        self._actor.lands(self._outer)
