"""Replaces an attribute for some time: the one way in which the lab stands before what libraries do."""

from __future__ import annotations

import contextlib

__all__ = ["replaced"]


class replaced(contextlib.AbstractContextManager[None]):  # noqa: N801 - it reads as the function that it was
    """Replace an attribute for the time of the block. There are dozens in an execution, so it is no generator."""

    __slots__ = ("_before", "_had", "_name", "_owner", "_value")

    def __init__(self, owner: object, name: str, value: object) -> None:
        self._owner, self._name, self._value = owner, name, value

    def __enter__(self) -> None:
        own = vars(self._owner)
        self._before, self._had = own.get(self._name), self._name in own
        setattr(self._owner, self._name, self._value)

    def __exit__(self, *_: object) -> None:
        if self._had:
            setattr(self._owner, self._name, self._before)
        else:
            delattr(self._owner, self._name)
