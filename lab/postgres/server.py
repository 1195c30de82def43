"""A server that the lab can use, and how one given by URL becomes such a server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from lab.errors import UsageError

__all__ = ["Server", "external_server"]


@dataclass(frozen=True)
class Server:
    """A server that can be connected to.

    `connect` are keyword arguments for `asyncpg.connect`. `may_freeze` says of a process id whether it is a
    backend of this server that we may signal; for a server given by URL it says no.
    """

    description: str
    connect: Mapping[str, Any]
    may_freeze: Callable[[int], bool]
    pid: int | None = None
    folder: Path | None = None
    version: int | None = None
    crash: Callable[[], None] | None = None
    """Ends the server as a crash does and starts it again; only the process that started a server can."""
    on_close: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, compare=False, repr=False)

    def close(self) -> None:
        """Let go of the server; the embedded one ends when nobody holds it any more."""
        self.on_close.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def external_server(url: str) -> Server:
    """A server given by URL. Raises `UsageError` for a URL that cannot be one."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # the latter from a port that is no number
        raise UsageError(
            f"not a database URL: {url!r}; expected postgresql://user:password@host:port/database"
        ) from None
    if parsed.get_backend_name() != "postgresql":
        raise UsageError(f"the lab needs PostgreSQL, and this URL names {parsed.get_backend_name()}")
    return Server(
        description=parsed.set(query={}).render_as_string(hide_password=True),
        connect=_asyncpg_arguments(parsed),
        may_freeze=lambda pid: False,
    )


def _asyncpg_arguments(url: URL) -> dict[str, Any]:
    named: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "database": url.database or "postgres",
    }
    for name, value in url.query.items():
        named[name] = int(str(value)) if name == "port" else value
    if not named["host"]:
        named["host"] = "localhost"
    return {name: value for name, value in named.items() if value is not None}
