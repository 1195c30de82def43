"""The name by which code knows a thing: a variable of its module, an attribute, an item of either.

Only what stands in dictionaries is looked at: no property runs, and no code of the user's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from lab.engine.watchdog import is_library

__all__ = ["is_a_users", "name_of"]

_PLAIN = (str, bytes, int, float, type(None), FunctionType, BuiltinFunctionType)
_FAR = 2
"""How many attributes and items one goes from a variable."""
_MANY = 3000
_INSTALLED = ("/site-packages/", "/dist-packages/")


def name_of(things: Collection[object], frames: Sequence[FrameType]) -> str:
    """What code in one of these frames calls one of the things: `cache`, `Stock.lock`, `locks[1]`; "" if nothing."""
    wanted = {id(each) for each in things}
    spaces = [frame.f_globals for frame in frames]
    for variables in spaces:
        if found := next((name for name, value in variables.items() if id(value) in wanted), ""):
            return found
    for begin in (*map(_of_a_module, spaces), *(_of_a_function(frame) for frame in frames)):
        if found := _found(list(begin), wanted):
            return found
    for frame in frames:
        if found := next((name for name, value in frame.f_locals.items() if id(value) in wanted), ""):
            return found
    return ""


def _of_a_module(variables: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in variables.items() if not name.startswith("__"))


def _of_a_function(frame: FrameType) -> Iterator[tuple[str, object]]:
    """An object's attribute is known by the object's class, an item by the variable."""
    for name, value in frame.f_locals.items():
        container = isinstance(value, dict | list | tuple | set | frozenset)
        yield name if container or isinstance(value, type) else type(value).__name__, value


def _found(ahead: list[tuple[str, object]], wanted: Collection[int]) -> str:
    seen = set[int]()
    for _ in range(_FAR):
        following: list[tuple[str, object]] = []
        for text, value in ahead:
            if isinstance(value, _PLAIN) or id(value) in seen or len(seen) > _MANY:
                continue
            seen.add(id(value))
            for name, part in _parts(text, value):
                if id(part) in wanted:
                    return name
                following.append((type(part).__name__ if name.endswith("[…]") else name, part))
        ahead = following
    return ""


def _parts(text: str, value: Any) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        items = list(dict.items(value))
        yield from ((f"{text}[{key!r}]" if isinstance(key, str | int) else f"{text}[…]", each) for key, each in items)
    elif isinstance(value, WeakKeyDictionary | WeakValueDictionary):
        yield from ((f"{text}[…]", each) for each in list(value.values()))
    elif isinstance(value, list | tuple):
        yield from ((f"{text}[{number}]", each) for number, each in enumerate(value))
    elif isinstance(value, set | frozenset):
        yield from ((f"{text}", each) for each in value)
    elif not isinstance(value, ModuleType) or is_a_users(value):
        kind = value if isinstance(value, type) else type(value)
        yield from ((f"{text}.{name}", each) for name, each in _variables(value))
        if kind is not value and not is_library(getattr(kind, "__module__", "")):
            yield from ((f"{kind.__name__}.{name}", each) for name, each in _variables(kind))


def _variables(value: object) -> list[tuple[str, object]]:
    try:
        found = object.__getattribute__(value, "__dict__") if not isinstance(value, type) else vars(value)
    except (AttributeError, TypeError):
        return []
    return [(name, each) for name, each in list(found.items()) if isinstance(name, str) and not name.startswith("__")]


def is_a_users(module: ModuleType) -> bool:
    """Whether a module is of the application's own: neither Python's nor the lab's nor of an installed library."""
    file = getattr(module, "__file__", None) or "<"
    return not is_library(file) and not any(folder in file for folder in _INSTALLED)
