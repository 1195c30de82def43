"""What the server answered last to the code that runs in one context, such as that of one request.

Tasks and threads that the code starts inherit the context, so what they are answered is heard as well; each for itself,
since what a middleware does in another task, when its endpoint has answered, is no answer to the endpoint.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field

from lab.engine.gate import Actor, current_actor
from lab.model.trace import Result

__all__ = ["Heard", "hear", "hearing"]

_CLEAN_UP = ("ROLLBACK", "RESET", "DISCARD")
"""What ends work that was refused, and is not the next piece of work."""


@dataclass(slots=True)
class Heard:
    """The last answers that are not such to a ROLLBACK."""

    errors: dict[Actor | None, str] = field(default_factory=dict)
    """For each task that was answered: the SQLSTATE where its last answer is an error, else ""."""
    answers: int = 0
    """How many there were, also to ROLLBACK."""


_heard: ContextVar[Heard | None] = ContextVar("lab_heard", default=None)


@contextlib.contextmanager
def hearing() -> Iterator[Heard]:
    """Hear what is answered to the code of the block."""
    heard = Heard()
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def hear(result: Result) -> None:
    """An answer of the server to the code that runs."""
    heard = _heard.get()
    if heard is None:
        return
    heard.answers += 1
    if not result.tag.startswith(_CLEAN_UP):
        heard.errors[current_actor()] = result.error
