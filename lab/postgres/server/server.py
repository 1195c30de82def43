"""A server that the lab can use, and how one given by URL becomes such a server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from lab.engine.ports import ServerClock
from lab.model.shown import keep_back

__all__ = ["Server", "external_server"]


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True)
class Server:
    """A server that can be connected to.

    `connect` are keyword arguments for `asyncpg.connect`. `may_freeze` says of a process id whether it is a
    backend of this server that we may signal; for a server given by URL it says no.
    """

    description: str
    connect: Mapping[str, Any] = field(repr=False)
    may_freeze: Callable[[int], bool] = field(repr=False)
    pid: int | None = None
    folder: Path | None = None
    version: int | None = None
    crash: Callable[[], None] | None = None
    """Ends the server as a crash does and starts it again; only the process that started a server can."""
    clock: ServerClock | None = None
    """Moves the clock of a server that serves this process alone; None where it cannot be moved."""
    on_close: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, compare=False, repr=False)
    cleaned: Callable[[str], str] = field(default=_as_it_is, compare=False, repr=False)
    """A message of the driver or the server without the secrets of the URL."""

    def close(self) -> None:
        """Let go of the server; the embedded one ends when nobody holds it any more."""
        self.on_close.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def external_server(url: str) -> Server:
    """A server given by URL. Raises `UsageError` for a URL that cannot be one; the sentence does not show the URL."""
    from lab.postgres.server.url import parsed  # noqa: PLC0415 - the embedded server has no URL; it needs SQLAlchemy

    address = parsed(url)
    keep_back(address.secrets)
    return Server(
        description=address.description,
        connect=address.connect,
        may_freeze=lambda pid: False,
        cleaned=address.cleaned,
    )
