"""Values that can only go on, so that nothing changes them back: another one stands for each in every execution."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import copy
import itertools
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["another"]

_OVER_ELEMENTS: tuple[type, ...] = tuple(map(type, (iter(()), iter([]), iter(""), iter(b""), iter(range(0)))))
"""Iterators of which a copy goes on by itself, over the same elements."""


def another(value: object) -> Callable[[], object] | None:
    """What makes one like a counter, an iterator, or a future that nobody has set; None for other values."""
    if type(value) is itertools.count:
        with contextlib.suppress(ValueError):  # it counts what is no literal
            arguments = ast.literal_eval(f"{repr(value).removeprefix('count').removesuffix(')')},)")
            return lambda: itertools.count(*arguments)
    if type(value) in _OVER_ELEMENTS:
        return partial(copy.copy, copy.copy(value))
    if type(value) is itertools.cycle:
        return _another_cycle(value)
    if issubclass(type(value), asyncio.Future) and isinstance(value, asyncio.Future):
        return None if issubclass(type(value), asyncio.Task) or value.done() else value.get_loop().create_future
    return None


def _another_cycle(value: Any) -> Callable[[], object] | None:
    """One over the same elements; None where nothing says which (Python 3.14 no longer does) or code finds them."""
    with warnings.catch_warnings(), contextlib.suppress(AttributeError, TypeError, ValueError):
        warnings.simplefilter("ignore", DeprecationWarning)
        _, (ahead,), (seen, is_further) = value.__reduce__()
        if type(ahead) not in _OVER_ELEMENTS:
            return None
        kept, rest = list(seen), copy.copy(ahead)

        def make() -> object:
            made: Any = itertools.cycle(copy.copy(rest))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                made.__setstate__((list(kept), is_further))
            return made

        return make
    return None
