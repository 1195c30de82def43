"""What a test asked of its application, as values that can be used again: the material of races.

A `Sent` is a request, or a call of one of the functions of a service (`lab.search.races.calls`). Both know how they are
done once more, what says that they were answered otherwise, and how they are written as code.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar
from urllib.parse import urlsplit

from lab.model.outcome import ActorResult
from lab.scenario.declare import Allowed
from lab.search.races.overrides import Ways, applied, asking_with
from lab.search.races.spelling import Spelled, Spelling
from lab.search.races.states import State
from lab.search.races.touched import Touched

__all__ = ["TELLING", "Errors", "Recording", "Request", "Sent", "naming", "told_by"]

_WORD = re.compile(r"[A-Za-z_]\w*")
_NAMING = re.compile(r"[\w-]+")
_BODY_SHOWN = 60
_REFUSED = 400
_LEFT_OUT = {"host", "content-length", "accept", "accept-encoding", "connection", "user-agent"}
"""Headers that a client adds by itself."""


class Errors(Enum):
    """Which errors of a call are answers, and go no further. A refusal of the server (40001 …) never is one."""

    NONE = "none"
    DOMAIN = "all but those of the server, unless it raised the same in the test"
    ALL = "all"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Sent(ABC):
    """A request or a call of a test, in the order in which they were made."""

    test: str
    number: int = 0
    """Counted from 1 in its test."""
    app: Any = None
    """The ASGI application that it was sent to; None for a call."""
    lifespan: bool = False
    """The application was started before, and is stopped behind its requests."""
    shared: dict[Any, Any] = field(default_factory=dict)
    """The overrides of the application that hand out one session for all requests, with the session."""
    overrides: dict[Any, Any] = field(default_factory=dict)
    """FastAPI's dependency overrides at that time."""
    state: State | None = None
    """The database before it; None where that could not be read."""
    touched: Touched = field(default_factory=Touched)
    answer: str = ""
    error: str = ""
    """What it raised."""
    trouble: str = ""
    """Why it cannot be raced; "" if it can."""
    once: str = ""
    """Why it cannot be done again at all, also not before others; "" if it can."""

    DONE: ClassVar[str] = "sent"
    GIVEN: ClassVar[str] = "sends"
    """What was done with it, and what it was given, in the words of a report."""
    WANTS: ClassVar[tuple[str, ...]] = ()
    """What an actor needs to do it once more."""
    ALLOWS: ClassVar[tuple[Allowed, ...]] = ()
    """What its actor may leave or end with."""

    @property
    @abstractmethod
    def title(self) -> str:
        """As people say it: `POST /orders/1/pay`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """A name for its actor."""

    @property
    @abstractmethod
    def body(self) -> str:
        """What it was given, on one short line."""

    @property
    @abstractmethod
    def answered(self) -> str:
        """How it ended, in a few words."""

    @property
    @abstractmethod
    def same(self) -> tuple[object, ...]:
        """What makes two of them the same, whichever test made them."""

    @property
    @abstractmethod
    def learnt(self) -> frozenset[str]:
        """Ids and the like that its answer told."""

    @property
    @abstractmethod
    def named(self) -> frozenset[str]:
        """Words that it was given, ids among them."""

    @property
    @abstractmethod
    def refused(self) -> bool:
        """Whether its answer was that it cannot be done."""

    @property
    def assumes(self) -> str:
        """What is taken for granted when it is done again, as a sentence; "" for nothing."""
        return ""

    @abstractmethod
    async def again(self, way: Ways, errors: Errors, **given: Any) -> object:
        """Do it once more, as part of whoever calls. `given` is what `WANTS` names."""

    @abstractmethod
    def differs(self, result: ActorResult) -> str:
        """How it was answered otherwise than in the test, done again alone from the same rows; "" if it was not."""

    @abstractmethod
    def fails(self, result: ActorResult) -> bool:
        """Whether it ended as nothing should, though nobody was beside it."""

    @abstractmethod
    def spelled(self, spelling: Spelling) -> Spelled:
        """As code. Raises `Unspelled` where it cannot be written."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Request(Sent):
    """A request to an ASGI application."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes = b""
    status: int = 0

    WANTS: ClassVar[tuple[str, ...]] = ("client",)

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def title(self) -> str:
        """Method and path."""
        return f"{self.method} {self.path}"

    @property
    def name(self) -> str:
        """The last word of its path, or its method."""
        words = [each for each in urlsplit(self.url).path.split("/") if _WORD.fullmatch(each)]
        return (words[-1] if words else self.method).lower()

    @property
    def body(self) -> str:
        """Its content on one short line."""
        text = " ".join(self.content.decode("utf-8", "replace").split())
        return text if len(text) <= _BODY_SHOWN else text[: _BODY_SHOWN - 1] + "…"

    @property
    def answered(self) -> str:
        """Its status."""
        return f"answered {self.status}"

    @property
    def same(self) -> tuple[object, ...]:
        """All that was sent."""
        return self.method, self.url, self.content, self.headers

    @property
    def learnt(self) -> frozenset[str]:
        """Ids and the like in its JSON."""
        try:
            answer = json.loads(self.answer) if self.answer else None
        except ValueError:
            return frozenset()
        return frozenset(told_by(answer))

    @property
    def named(self) -> frozenset[str]:
        """The words of its path and content."""
        return naming(f"{self.path} {self.content.decode(errors='replace')}")

    @property
    def refused(self) -> bool:
        """By its status."""
        return self.status >= _REFUSED

    @property
    def json(self) -> Any:
        """Its content as JSON; None where it is none."""
        try:
            return json.loads(self.content) if self.content else None
        except ValueError:
            return None

    async def again(self, way: Ways, errors: Errors, **given: Any) -> Any:
        """Send it through a client; returns the answer."""
        client = given["client"]
        request = client.build_request(self.method, self.url, headers=list(self.headers), content=self.content)
        with asking_with(applied(self.overrides, self.shared, way)):
            return await client.send(request)

    def differs(self, result: ActorResult) -> str:
        """By status, since JSON may have ids and times in it."""
        again = f"sent again from the same rows, {self.title}"
        if result.error is not None:
            return f"{again} fails: {result.text}"
        status = result.value[0] if isinstance(result.value, tuple) else None
        return "" if status == self.status else f"{again} answers {status}, and {self.status} when it was recorded"

    def fails(self, result: ActorResult) -> bool:
        """With 500 or more."""
        return result.error is not None and not result.aborted

    def spelled(self, spelling: Spelling) -> Spelled:
        """As a call of a client."""
        headers = {name: value for name, value in self.headers if name.lower() not in _LEFT_OUT}
        arguments = [repr(self.method), repr(self.url)]
        if self.content:
            if (body := self.json) is not None and headers.get("content-type", "").startswith("application/json"):
                headers.pop("content-type", None)
                arguments.append(f"json={body!r}")
            else:
                arguments.append(f"content={self.content!r}")
        if headers:
            arguments.append(f"headers={headers!r}")
        return Spelled(("client",), (f"return await client.request({', '.join(arguments)})",))


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

    @property
    def unusable(self) -> str:
        """Why nothing of it can be raced; "" if something can."""
        if self.trouble or any(not each.trouble for each in self.sent):
            return self.trouble
        return self.sent[0].trouble if self.sent else "it sent no request and called no action"


TELLING = ("id", "slug", "uuid", "code", "token", "key")


def naming(text: str) -> frozenset[str]:
    """The words of a text by which something may be named."""
    return frozenset(_NAMING.findall(text))


def told_by(answer: Any, name: str = "") -> Iterator[str]:
    """The values of an answer, made of plain ones, by which something can be named."""
    if isinstance(answer, dict):
        for key, value in answer.items():
            yield from told_by(value, str(key).lower())
    elif isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        for each in answer:
            yield from told_by(each, name)
    elif isinstance(answer, int | str) and not isinstance(answer, bool) and name.endswith(TELLING):
        yield str(answer)
