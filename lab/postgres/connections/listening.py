"""Listens to events of SQLAlchemy for some time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event

__all__ = ["Listener", "listening"]

Listener = tuple[Any, str, Callable[..., Any], dict[str, bool]]
"""Whose event, its name, what is called, and how it is to be called."""


@contextlib.contextmanager
def listening(*listeners: Listener) -> Iterator[None]:
    """Call these for the time of the block."""
    for target, name, handler, options in listeners:
        event.listen(target, name, handler, **options)
    try:
        yield
    finally:
        for target, name, handler, _ in listeners:
            event.remove(target, name, handler)
