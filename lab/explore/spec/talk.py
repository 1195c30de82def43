"""A session of a spec: raw SQL over a connection of asyncpg's, each result as the text that the server sent.

asyncpg connects and authenticates. What it sends afterwards is of no use here: it gives no rows of a simple query, and
elsewhere it prepares, describes and decodes, where a spec shows text, several results of one query, and what the server
says in between. So once the connection stands, this takes the place of asyncpg's protocol behind its transport, by
`BaseTransport.set_protocol`, and speaks the few messages of a simple query.

The messages are those of PostgreSQL's documentation, chapter "Frontend/Backend Protocol".
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg

__all__ = ["Copying", "Done", "Gone", "Heard", "Notification", "Part", "Rows", "Said", "Talk"]

_HEAD = 5
"""Bytes before the content of a message: its kind and its length, which counts itself."""
_NULL = 0xFFFFFFFF
CLOSING_SECONDS = 5.0
"""How long the server may take to close a connection that it was asked to close."""


@dataclass(frozen=True, slots=True)
class Done:
    """A statement that gives no rows is complete."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A statement that gives rows is complete. A value is as bytes in the text format, None for NULL."""

    columns: tuple[bytes, ...]
    rows: tuple[tuple[bytes | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """An error, or a notice: its fields by the letters that the protocol has for them."""

    error: bool
    fields: Mapping[str, bytes] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Copying:
    """The server began a COPY, which is of no use here and was refused. `way` is IN, OUT or BOTH."""

    way: str


@dataclass(frozen=True, slots=True)
class Gone:
    """The server closed the connection."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A NOTIFY that this session listens for, with the process id of its sender."""

    pid: int
    channel: bytes
    payload: bytes


Part = Done | Rows | Said | Copying | Gone
"""A part of what a session answers, in the order in which it came."""
_COPIES = {b"G": "IN", b"H": "OUT", b"W": "BOTH"}


def _fields(content: bytes) -> dict[str, bytes]:
    return {chr(each[0]): each[1:] for each in content.split(b"\0") if each}


def _columns(content: bytes) -> tuple[bytes, ...]:
    names, at = [], 2
    for _ in range(int.from_bytes(content[:2], "big")):
        end = content.index(0, at)
        names.append(content[at:end])
        at = end + 19  # six numbers about its type follow
    return tuple(names)


def _row(content: bytes) -> tuple[bytes | None, ...]:
    values: list[bytes | None] = []
    at = 2
    for _ in range(int.from_bytes(content[:2], "big")):
        length = int.from_bytes(content[at : at + 4], "big")
        at += 4
        if length == _NULL:
            values.append(None)
        else:
            values.append(content[at : at + length])
            at += length
    return tuple(values)


class Heard:
    """Reads messages of the server. What it has heard waits in `parts` and `notifications` until somebody looks."""

    def __init__(self) -> None:
        self.parts: deque[Part] = deque()
        self.notifications: deque[Notification] = deque()
        self.busy = False
        """Whether a query is under way: it was sent, and the server is not ready for another."""
        self._unread = b""
        self._columns: tuple[bytes, ...] | None = None
        self._rows: list[tuple[bytes | None, ...]] = []

    def read(self, data: bytes) -> None:
        """Take in what came from the socket."""
        data, at = self._unread + data, 0
        while len(data) - at >= _HEAD:
            end = at + 1 + int.from_bytes(data[at + 1 : at + _HEAD], "big")
            if end > len(data):
                break
            self._message(data[at : at + 1], data[at + _HEAD : end])
            at = end
        self._unread = data[at:]

    def _message(self, kind: bytes, content: bytes) -> None:
        if kind == b"D":
            self._rows.append(_row(content))
        elif kind == b"T":
            self._columns = _columns(content)
        elif kind in (b"C", b"I"):
            self.parts.append(Done() if self._columns is None else Rows(self._columns, tuple(self._rows)))
            self._forget()
        elif kind in (b"E", b"N"):
            self.parts.append(Said(kind == b"E", _fields(content)))
            if kind == b"E":
                self._forget()
        elif kind == b"A":
            channel, payload, _ = content[4:].split(b"\0", 2)
            self.notifications.append(Notification(int.from_bytes(content[:4], "big"), channel, payload))
        elif kind == b"Z":
            self.busy = False
        elif kind in _COPIES:
            self.parts.append(Copying(_COPIES[kind]))
            if kind != b"H":
                self.refuse_copy()

    def _forget(self) -> None:
        self._columns, self._rows = None, []

    def refuse_copy(self) -> None:
        """Answer a COPY that waits for data."""


class Talk(Heard, asyncio.Protocol):
    """A session of a spec. Belongs to the event loop that opened its connection."""

    def __init__(self, name: str, connection: asyncpg.Connection) -> None:
        super().__init__()
        self.name = name
        self.pid: int = connection.get_server_pid()
        self.noticed = 0
        """How many notices were looked at."""
        self.lost = False
        """The connection is closed."""
        self._loop = asyncio.get_running_loop()
        self._bell: asyncio.Future[bool] | None = None
        self._connection = connection
        self._driver, self._transport = connection._protocol, connection._transport  # noqa: SLF001 - see above
        self._transport.set_protocol(self)

    def send(self, sql: str) -> None:
        """Send one simple query, of one statement or several."""
        assert not self.busy, "one query at a time"
        self.busy = not self.lost
        text = sql.encode("utf-8", "surrogateescape") + b"\0"
        self._transport.write(b"Q" + (4 + len(text)).to_bytes(4, "big") + text)

    def refuse_copy(self) -> None:
        """See `Heard`."""
        reason = b"a spec has no data for COPY\0"
        self._transport.write(b"f" + (4 + len(reason)).to_bytes(4, "big") + reason)

    async def heard(self, seconds: float) -> bool:
        """Wait until something comes, or for some time; whether something came."""
        self._bell = self._loop.create_future()
        timer = self._loop.call_later(seconds, self._ring, False)  # noqa: FBT003 - whether something came
        try:
            return await self._bell
        finally:
            timer.cancel()
            self._bell = None

    async def complete(self, sql: str, seconds: float) -> list[Part]:
        """Send a query and return all that is answered. Raises `TimeoutError` if that takes longer."""
        self.send(sql)
        end = self._loop.time() + seconds
        while self.busy:
            if not await self.heard(end - self._loop.time()) and self._loop.time() >= end:
                raise TimeoutError
        parts = list(self.parts)
        self.parts.clear()
        return parts

    async def close(self) -> None:
        """Ask the server to end the session, and wait until it has closed the connection."""
        if not self.lost:
            self._transport.write(b"X\0\0\0\x04")
            end = self._loop.time() + CLOSING_SECONDS
            while not self.lost and self._loop.time() < end:
                await self.heard(end - self._loop.time())
        self._transport.abort()

    def _ring(self, came: bool) -> None:  # noqa: FBT001 - whether something came
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(came)

    def data_received(self, data: bytes) -> None:
        """What asyncio calls."""
        self.read(data)
        self._ring(True)  # noqa: FBT003 - something came

    def connection_lost(self, error: Any) -> None:
        """What asyncio calls."""
        if self.busy:
            self.parts.append(Gone())
        self.busy, self.lost = False, True
        self._ring(True)  # noqa: FBT003 - something came
        self._driver.connection_lost(error)
