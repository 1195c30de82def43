"""What is read from a class of scenarios, kept on it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

__all__ = ["once_for_each_class"]

Class = TypeVar("Class", bound=type)
Value = TypeVar("Value")


def once_for_each_class(read: Callable[[Class], Value]) -> Callable[[Class], Value]:
    """Keep on the class what was read from it: doing so for every execution would cost more than a statement."""
    name = f"_lab_{read.__name__}"

    @functools.wraps(read)
    def kept(cls: Class) -> Value:
        if name not in vars(cls):
            setattr(cls, name, read(cls))
        value: Value = vars(cls)[name]
        return value

    return kept
