"""Replaces an attribute for some time: the one way in which the lab stands before what libraries do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

__all__ = ["replaced"]


@contextlib.contextmanager
def replaced(owner: object, name: str, value: object) -> Iterator[None]:
    """Replace an attribute for the time of the block."""
    own = vars(owner)
    before, had = own.get(name), name in own
    setattr(owner, name, value)
    try:
        yield
    finally:
        if had:
            setattr(owner, name, before)
        else:
            delattr(owner, name)
