"""What the server answered last to the code that runs in one context, such as that of one request.

Tasks and threads that the code starts inherit the context, so what they are answered is heard as well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from lab.model.trace import Result

__all__ = ["Heard", "hear", "hearing"]

_CLEAN_UP = ("ROLLBACK", "RESET", "DISCARD")
"""What ends work that was refused, and is not the next piece of work."""


@dataclass(slots=True)
class Heard:
    """The last answer that is not one to a ROLLBACK."""

    refusal: str = ""
    """Its SQLSTATE where it is an error, else ""."""


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
    if heard is not None and not result.tag.startswith(_CLEAN_UP):
        heard.refusal = result.error
