"""BEGIN goes out together with the operation after it, in one packet, as PostgreSQL's protocol allows.

SQLAlchemy sends BEGIN when its first statement is on its way, and BEGIN takes no snapshot, so nobody can see that it
waits for that statement; it saves a round trip in each transaction. asyncpg sends one operation at a time. So BEGIN is
answered here, in the words of the server, and what asyncpg writes next is written behind it; what the server answers
to it is left out of what asyncpg reads.

BEGIN is sent as the extended protocol sends statements, without a Sync: were it refused, the server would skip what
comes after, up to the Sync of that, and asyncpg reads the refusal as an answer to its operation (PostgreSQL's
documentation, 54.2.3).
"""

from __future__ import annotations

from typing import Any

__all__ = ["sends_later"]

_NAME = b"lab_begin\0"
_BEGUN = b"C\0\0\0\nBEGIN\0Z\0\0\0\x05T"
"""The server's answer: the command is complete, and the session is in a transaction."""
_ANY_TIME = b"NAS"
"""Notices, notifications and changed settings may come before an answer; they are nobody's."""
_HEAD = 5
"""Bytes before the content of a message: its kind and its length, which counts itself."""


def _message(kind: bytes, content: bytes) -> bytes:
    return kind + (len(content) + 4).to_bytes(4, "big") + content


_CLOSE = _message(b"C", b"S" + _NAME)
_RUN = _message(b"B", b"\0" + _NAME + bytes(6)) + _message(b"E", bytes(5)) + _CLOSE


def _extended(query: bytes) -> bytes:
    """The query by a prepared statement of its own, so that no other is touched, and none is left."""
    return _CLOSE + _message(b"P", _NAME + query + bytes(3)) + _RUN


async def sends_later(protocol: Any, transport: Any, query: str, *, script: str = "") -> str:
    """Answer a BEGIN, which goes out before the next thing that `protocol` writes on `transport`.

    The protocol is in no transaction, and nothing of it is under way. `script`: what goes out in its place,
    commands that each end with a semicolon, the last of which is that BEGIN. Returns the tag of the command.
    """
    write, writelines = transport.write, transport.writelines

    def send(data: Any) -> None:
        del transport.write, transport.writelines
        if script or bytes(data[:1]) == b"Q":
            text = script or query
            begin, answers = _message(b"Q", text.encode() + b"\0"), b"C" * max(text.count(";"), 1) + b"Z"
        else:
            begin, answers = _extended(query.encode()), b"312C3"
        transport.set_protocol(_Without(answers, protocol, transport))
        write(begin + bytes(data))

    def answer(data: Any) -> None:
        transport.write = send
        transport.writelines = lambda parts: send(b"".join(map(bytes, parts)))
        protocol.data_received(_BEGUN)

    transport.write, transport.writelines = answer, writelines
    try:
        return await protocol.query(query, None)  # type: ignore[no-any-return]
    finally:
        if transport.write is answer:  # it was never written
            del transport.write, transport.writelines


class _Without:
    """Reads for a protocol until some answers have come, which it does not get."""

    def __init__(self, answers: bytes, protocol: Any, transport: Any) -> None:
        self._left, self._transport = answers, transport
        self._app_protocol = protocol
        """By the name under which TLS keeps it: what is read here is the driver's."""
        self._read = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app_protocol, name)

    def data_received(self, data: bytes) -> None:
        """Leave out the answers. Something else in their place, such as an error, is the protocol's."""
        read, passed = self._read + data, b""
        while self._left and len(read) >= _HEAD:
            end = 1 + int.from_bytes(read[1:_HEAD], "big")
            if len(read) < end:
                break
            kind, message, read = read[:1], read[:end], read[end:]
            if kind in _ANY_TIME:
                passed += message
            elif kind == self._left[:1]:
                self._left = self._left[1:]
            else:
                self._left, read = b"", message + read
        if not self._left:
            self._transport.set_protocol(self._app_protocol)
            passed, read = passed + read, b""
        self._read = read
        if passed:
            self._app_protocol.data_received(passed)
