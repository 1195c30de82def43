"""A request as a file has it, before anything is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BASE_URL", "Asked", "Requests", "header_lines", "kept_headers", "typed"]

BASE_URL = "https://localhost"
"""Of requests that name no host. HTTPS, so that cookies that are marked as secure come back."""
_BY_CLIENT = {
    *("host", "connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "te", "accept-encoding"),
    *("if-none-match", "if-modified-since", "dnt", "priority", "pragma", "cache-control", "upgrade-insecure-requests"),
}
"""Headers that a client adds by itself, or by which a browser asks its cache."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a file."""

    method: str
    url: str
    """Whole, or a path with its query."""
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = b""
    place: str = ""
    """Where it stands, for a sentence: `line 3`."""
    status: int | None = None
    """Of the answer that was recorded; None where none was."""
    answer: Any = None
    """The JSON of that answer."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What a file has."""

    asked: tuple[Asked, ...]
    left_out: Mapping[str, int] = field(default_factory=Counter)
    """Why requests of it are not sent, with their number."""
    unused: tuple[str, ...] = ()
    """What has no usable example, one sentence each."""


def kept_headers(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The headers that belong to a request and not to its way."""
    return tuple(
        (name, value)
        for name, value in pairs
        if name.lower() not in _BY_CLIENT and not name.startswith(":") and not name.lower().startswith("sec-")
    )


def typed(headers: tuple[tuple[str, str], ...], kind: str) -> tuple[tuple[str, str], ...]:
    """Headers that state the type of the content, unless they do already."""
    stated = any(name.lower() == "content-type" for name, _ in headers)
    return headers if stated else (*headers, ("content-type", kind))


def header_lines(value: Any) -> tuple[tuple[str, str], ...]:
    """Headers from an object, or from a list of pairs. Raises `ValueError` for anything else."""
    pairs = value.items() if isinstance(value, dict) else value if isinstance(value, list) else None
    if pairs is None:
        raise ValueError('headers are an object such as {"X-User": "alice"}')
    found = []
    for each in pairs:
        if not isinstance(each, list | tuple) or len(each) != 2 or not all(isinstance(part, str) for part in each):  # noqa: PLR2004 - a name and a value
            raise ValueError(f"{each!r} is no header: name and value are texts")
        found.append((each[0], each[1]))
    return kept_headers(found)
