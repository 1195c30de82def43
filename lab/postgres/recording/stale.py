"""Hears that a version was stale, as the server's refusals are heard: only SQLAlchemy knows of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm.exc import StaleDataError

from lab.engine.hearing import hear
from lab.engine.replaced import replaced
from lab.model.remedy import STALE
from lab.model.trace import Result

__all__ = ["stale_versions_heard"]


@contextlib.contextmanager
def stale_versions_heard() -> Iterator[None]:
    """Until the block ends. There is no event for it, so the error says it itself when it is made."""
    real = StaleDataError.__init__

    def init(error: StaleDataError, *args: Any, **named: Any) -> None:
        real(error, *args, **named)
        hear(Result(error=STALE))

    with replaced(StaleDataError, "__init__", init):
        yield
