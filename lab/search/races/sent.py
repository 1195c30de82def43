"""What a test sent to its application, as plain values: the material of races."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lab.search.races.states import State

__all__ = ["TELLING", "Recording", "Sent", "Touched"]

_WORD = re.compile(r"[A-Za-z_]\w*")
_BODY_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Touched:
    """The tables that statements named, those of them that were written, and the SQL that says so."""

    read: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    statements: int = 0

    @property
    def all(self) -> frozenset[str]:
        """Read or written."""
        return self.read | self.written


@dataclass(frozen=True, slots=True, eq=False)
class Sent:
    """A request of a test, in the order in which it was sent."""

    test: str
    number: int
    """Counted from 1 in its test."""
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    content: bytes
    app: Any
    """The ASGI application that it was sent to."""
    overrides: dict[Any, Any] = field(default_factory=dict)
    """FastAPI's dependency overrides at that time."""
    shared: dict[Any, Any] = field(default_factory=dict)
    """Those of them that hand out one session for all requests, with the session."""
    lifespan: bool = False
    """The application was started before, and is stopped behind its requests."""
    state: State | None = None
    """The database before it; None where that could not be read."""
    touched: Touched = field(default_factory=Touched)
    status: int = 0
    answer: str = ""
    error: str = ""
    """What the application raised through its transport."""
    trouble: str = ""
    """Why it cannot be raced; "" if it can."""

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def title(self) -> str:
        """As people say it: `POST /orders/1/pay`."""
        return f"{self.method} {self.path}"

    @property
    def name(self) -> str:
        """A name for its actor: the last word of its path, or its method."""
        words = [each for each in urlsplit(self.url).path.split("/") if _WORD.fullmatch(each)]
        return (words[-1] if words else self.method).lower()

    @property
    def body(self) -> str:
        """Its content on one short line."""
        text = " ".join(self.content.decode("utf-8", "replace").split())
        return text if len(text) <= _BODY_SHOWN else text[: _BODY_SHOWN - 1] + "…"

    @property
    def same(self) -> tuple[object, ...]:
        """What makes two requests the same request, whichever test sent them."""
        return self.method, self.url, self.content, self.headers

    @property
    def learnt(self) -> frozenset[str]:
        """Ids and the like that its answer told."""
        try:
            answer = json.loads(self.answer) if self.answer else None
        except ValueError:
            return frozenset()
        return frozenset(_values(answer))

    @property
    def json(self) -> Any:
        """Its content as JSON; None where it is none."""
        try:
            return json.loads(self.content) if self.content else None
        except ValueError:
            return None


@dataclass(slots=True)
class Recording:
    """What one test sent, or what was sent out of a file."""

    test: str
    """Its name."""
    sent: list[Sent] = field(default_factory=list)
    lifespan: bool = False
    """Its application was started."""
    trouble: str = ""
    """Why no races can be made of it, in one line; "" if they can."""
    kind: str = "test"


TELLING = ("id", "slug", "uuid", "code", "token", "key")


def _values(answer: Any, name: str = "") -> Iterator[str]:
    """The values of an answer by which something can be named."""
    if isinstance(answer, dict):
        for key, value in answer.items():
            yield from _values(value, str(key).lower())
    elif isinstance(answer, list):
        for each in answer:
            yield from _values(each, name)
    elif isinstance(answer, int | str) and not isinstance(answer, bool) and name.endswith(TELLING):
        yield str(answer)
