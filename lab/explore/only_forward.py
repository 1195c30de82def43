"""Values that can only go on, so that nothing changes them back: another one stands for each in every execution."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import itertools
from collections.abc import Callable

__all__ = ["another"]


def another(value: object) -> Callable[[], object] | None:
    """What makes one like a counter, or a future that nobody has set; None for other values."""
    if type(value) is itertools.count:
        with contextlib.suppress(ValueError):  # it counts what is no literal
            arguments = ast.literal_eval(f"{repr(value).removeprefix('count').removesuffix(')')},)")
            return lambda: itertools.count(*arguments)
    if issubclass(type(value), asyncio.Future) and isinstance(value, asyncio.Future):
        return None if issubclass(type(value), asyncio.Task) or value.done() else value.get_loop().create_future
    return None
