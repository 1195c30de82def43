"""A connection that breaks while a transaction ends: before the request reaches the server, or before its answer comes.

Both look alike to the client, and the driver raises its own error. Only in the second world the server has done what it
was asked: the connection is cut when its answer is there, which it sends when all is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.engine.ports import Cut

__all__ = ["broken_off"]

_ANY_TIME = b"NAS"
"""Notices, notifications and changed settings may come before an answer."""
_HEAD = 5
"""Bytes before the content of a message: its kind and its length, which counts itself."""
_COMMITTED = b"C\0\0\0\x0bCOMMIT\0"


async def broken_off(cut: Cut, protocol: Any, transport: Any, ended: Callable[[bool], None], query: str) -> Any:
    """Send a query by `protocol`, and break the connection. Raises what the driver raises then.

    `ended` is called when the server has answered: with whether it has committed.
    """
    if cut is Cut.BEFORE_REQUEST:
        transport.write = lambda data: transport.abort()
    else:
        transport.set_protocol(_Unheard(protocol, transport, ended))
    return await protocol.query(query, None)


class _Unheard:
    """Reads for a protocol until an answer comes, which it does not get."""

    def __init__(self, protocol: Any, transport: Any, ended: Callable[[bool], None]) -> None:
        self._app_protocol = protocol
        """By the name under which TLS keeps it: what is read here is the driver's."""
        self._transport, self._ended = transport, ended
        self._read = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app_protocol, name)

    def data_received(self, data: bytes) -> None:
        """Hand on what is no answer; cut the connection at the first that is."""
        read = self._read + data
        while len(read) >= _HEAD:
            end = 1 + int.from_bytes(read[1:_HEAD], "big")
            if read[:1] not in _ANY_TIME:
                if len(read) >= end:
                    self._ended(read[:end] == _COMMITTED)
                    self._transport.abort()
                break
            if len(read) < end:
                break
            self._app_protocol.data_received(read[:end])
            read = read[end:]
        self._read = read
