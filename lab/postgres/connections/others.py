"""Keeps connections apart that are not the lab's: who may open one, and who may use one that is open."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from asyncpg import connect_utils

from lab.engine.gate import current_actor
from lab.engine.replaced import replaced
from lab.errors import ScenarioError
from lab.postgres.connections.connection import LabConnection

__all__ = ["CONNECT", "Guard", "led", "led_as", "refusing_others"]

CONNECT = "_connect"
"""The one function of asyncpg through which every connection is opened."""
_HARMLESS = frozenset({"is_closed", "release", "close", "terminate", "_abort", "_cleanup", "__del__"})
"""What may be done to a connection of the application's own: nothing of it reaches a server as a statement."""


_code: ContextVar[str] = ContextVar("lab_led_code", default="")


def led() -> str:
    """Whose code is running that reaches no database but the lab's: an actor, a setup, an invariant; "" for others."""
    actor = current_actor()
    return actor.name if actor is not None else _code.get()


@contextlib.contextmanager
def led_as(name: str) -> Iterator[None]:
    """Run code of the user's that is not an actor's under this name until the block ends."""
    token = _code.set(name)
    try:
        yield
    finally:
        _code.reset(token)


class Guard:
    """Stands where every operation of a connection looks for its protocol, except of the lab's connections."""

    def __init__(self, real: Any, refuse: Callable[[str], ScenarioError]) -> None:
        self._real, self._refuse = real, refuse

    def __get__(self, connection: Any, owner: type[Any] | None = None) -> Any:
        if connection is None:
            return self
        if (who := led()) and sys._getframe(1).f_code.co_name not in _HARMLESS:  # noqa: SLF001
            raise self._refuse(
                f"{who} uses a connection to {_place(connection)} that was opened before the execution, so it "
                "leads to the application's own database; let the actor open it (or its pool, engine or session)"
            )
        return self._real.__get__(connection, owner)

    def __set__(self, connection: Any, value: Any) -> None:
        self._real.__set__(connection, value)


def _place(connection: Any) -> str:
    """Where a connection leads, as a URL without the password."""
    address, parameters = connection._addr, connection._params  # noqa: SLF001 - nothing public tells
    where = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
    return f"postgresql://{parameters.user}@{where}/{parameters.database}"


@contextlib.contextmanager
def refusing_others(sentence: str) -> Iterator[None]:
    """Let nobody open a connection with asyncpg that is not the lab's. Raises `ScenarioError` for who tries."""
    real = getattr(connect_utils, CONNECT)

    async def connect(*, connection_class: type[Any], **options: Any) -> Any:
        if not issubclass(connection_class, LabConnection):
            raise ScenarioError(sentence)
        return await real(connection_class=connection_class, **options)

    with replaced(connect_utils, CONNECT, connect):
        yield
