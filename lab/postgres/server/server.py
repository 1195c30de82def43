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
    try:
        connect = _asyncpg_arguments(parsed)
    except ValueError:
        raise UsageError(f"not a database URL: its port is no number in {parsed.query!r}") from None
    return Server(
        description=parsed.set(query={}).render_as_string(hide_password=True),
        connect=connect,
        may_freeze=lambda pid: False,
    )


_SYNONYMS = {
    "host": "host",
    "port": "port",
    "user": "user",
    "password": "password",
    "dbname": "database",
    "database": "database",
    "ssl": "ssl",
    "sslmode": "ssl",
}
"""What asyncpg calls the parameters that a URL may carry after its question mark."""
_OF_SQLALCHEMY = {"prepared_statement_cache_size", "prepared_statement_name_func"}


def _asyncpg_arguments(url: URL) -> dict[str, Any]:
    named: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "database": url.database or "postgres",
    }
    settings: dict[str, Any] = {}
    for name, value in url.query.items():
        if name in _SYNONYMS:
            named[_SYNONYMS[name]] = value
        elif name not in _OF_SQLALCHEMY:
            settings[name] = value  # as libpq and asyncpg take what they do not know
    if named["port"] is not None:
        named["port"] = int(str(named["port"]))
    named["host"] = named["host"] or "localhost"
    named["server_settings"] = settings or None
    return {name: value for name, value in named.items() if value is not None}
