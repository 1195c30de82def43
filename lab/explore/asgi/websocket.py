"""A websocket of an application, from the side of its client. httpx has none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx

__all__ = ["Closed", "WebSocket", "opened"]

NORMAL, ABNORMAL = 1000, 1006
LEFT = "WebSocketDisconnect"
"""What Starlette raises in an endpoint that goes on reading when its client has left; servers only log it."""


class Closed(Exception):
    """The application closed the websocket, or did not accept it (`code` 1006 where it ended without a word)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the application closed the websocket with code {code}{f': {reason}' if reason else ''}")
        self.code, self.reason = code, reason


class WebSocket:
    """An open websocket. What it receives when the application has closed it is `Closed`."""

    def __init__(self) -> None:
        self.subprotocol: str | None = None
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._closed: Closed | None = None
        self._left = False

    async def send_text(self, text: str) -> None:
        """Send a text."""
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def send_bytes(self, content: bytes) -> None:
        """Send bytes."""
        self._to_app.put_nowait({"type": "websocket.receive", "bytes": content})

    async def send_json(self, value: object) -> None:
        """Send a value as the text of its JSON."""
        await self.send_text(json.dumps(value))

    async def receive_text(self) -> str:
        """The next text. Raises `Closed`."""
        return str((await self._received())["text"])

    async def receive_bytes(self) -> bytes:
        """The next bytes. Raises `Closed`."""
        return bytes((await self._received())["bytes"])

    async def receive_json(self) -> Any:
        """The value of the next text or bytes. Raises `Closed`."""
        message = await self._received()
        return json.loads(message.get("text") or message.get("bytes") or "null")

    async def _received(self) -> dict[str, Any]:
        if self._closed is not None:
            raise self._closed
        message = await self._from_app.get()
        if message["type"] == "websocket.close":
            self._closed = Closed(message.get("code", NORMAL), message.get("reason") or "")
            raise self._closed
        return message

    async def run(self, app: Callable[..., Awaitable[None]], scope: dict[str, Any]) -> None:
        """The application's side, to its end."""
        self._to_app.put_nowait({"type": "websocket.connect"})
        try:
            await app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:
            if not (self._left and type(error).__name__ == LEFT):
                raise
        finally:
            self._from_app.put_nowait({"type": "websocket.close", "code": ABNORMAL})

    async def accepted(self) -> None:
        """Wait until the application accepts. Raises `Closed`."""
        self.subprotocol = (await self._received()).get("subprotocol")

    def disconnect(self) -> None:
        """Say that the client left."""
        self._left = True
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": NORMAL, "reason": ""})


@contextlib.asynccontextmanager
async def opened(
    app: Callable[..., Awaitable[None]], request: httpx.Request, subprotocols: tuple[str, ...]
) -> AsyncIterator[WebSocket]:
    """A websocket until the block ends; then the application is at its end as well, and raises here what it raised.

    Raises `Closed` if the application does not accept.
    """
    socket = WebSocket()
    task = asyncio.create_task(socket.run(app, _scope(request, subprotocols)))
    try:
        await socket.accepted()
        yield socket
    finally:
        socket.disconnect()
        await task


def _scope(request: httpx.Request, subprotocols: tuple[str, ...]) -> dict[str, Any]:
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": {"https": "wss", "http": "ws"}[request.url.scheme],
        "path": request.url.path,
        "raw_path": request.url.raw_path.split(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 123),
        "server": (request.url.host, request.url.port),
        "subprotocols": list(subprotocols),
    }
