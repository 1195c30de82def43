"""What actors share in the process by name, and one changes while another looks: when they do is no step.

Code behind a statement runs on with its answer, in one step, up to the next one; so does what comes before the first.
Elsewhere an answer may lie there while others go on. Where what such code touches is another's business too, no search
of statements has run all orders. `lab.point()` makes a step of it: two actors that both call it know where.

Only names are looked at, in the application's own code, and more closely than in `lab.explore.shared_state`, which may
doubt more: variables of a module or around a function, attributes of classes and of the scenario. To add to a list or
a set that no actor reads is no look.
"""

from __future__ import annotations

import dis
import inspect
import sys
from asyncio import Event, Queue
from collections.abc import MutableMapping, MutableSequence, MutableSet
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from itertools import permutations
from types import BuiltinMethodType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from lab.engine.gate import point
from lab.explore.functions_named import CONTENTS, NOTHING, codes, functions, is_own, value_at
from lab.explore.shared_state import is_state
from lab.scenario.declare import Scenario, actors_of

__all__ = ["shared_names"]

_CHANGEABLE = (MutableMapping, MutableSequence, MutableSet, bytearray, Event, Queue, type(lru_cache(len)))
_ADDS = frozenset({"add", "append", "appendleft", "extend"})
_CHANGES = _ADDS | {
    *("clear", "discard", "insert", "pop", "popitem", "popleft", "remove", "setdefault", "sort", "update"),
    *("__setitem__", "__delitem__", "get_nowait", "put_nowait", "get", "put", "set"),
}
"""Methods that change a collection, a queue or an event; `get` of a mapping does not."""
_LOADS = ("LOAD_ATTR", "LOAD_METHOD")
_BINDS = ("STORE_ATTR", "DELETE_ATTR")
_VARIABLES = {"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF", "DELETE_DEREF"}
_ITEMS = {"STORE_SUBSCR", "DELETE_SUBSCR"}
_NOTHING = ("CACHE", "PUSH_NULL", "COPY", "SWAP")
_PLAIN = (bool, int, float, str, bytes, tuple, frozenset, type(None))
_KNOWN: WeakKeyDictionary[type[Scenario], tuple[str, ...]] = WeakKeyDictionary()


@dataclass(slots=True)
class _Touched:
    """What the code of one actor touches, with the name that it has there: objects by identity, variables by name."""

    looks: dict[object, str] = field(default_factory=dict)
    changes: dict[object, str] = field(default_factory=dict)
    knows: bool = False
    """It calls `lab.point`."""


def shared_names(cls: type[Scenario]) -> tuple[str, ...]:
    """The names of what one actor changes and another one looks at, unless both call `lab.point`."""
    if cls not in _KNOWN:
        _KNOWN[cls] = tuple(sorted(_shared(cls)))
    return _KNOWN[cls]


def _shared(cls: type[Scenario]) -> set[str]:
    touched = [_touched(cls, each.attribute) for each in actors_of(cls)]
    found: dict[object, str] = {}
    for one, other in permutations(touched, 2):
        if not (one.knows and other.knows):
            found = {key: name for key, name in one.changes.items() if key in other.looks} | found
    return set(found.values())


def _touched(cls: type[Scenario], attribute: str) -> _Touched:
    own = cls.__mro__[: cls.__mro__.index(Scenario)]
    found = _Touched()
    for function in functions(inspect.unwrap(getattr(cls, attribute)), list(own)):
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        for code in codes(function.__code__):
            _Reader(function, own, cells, found).read(code)
    return found


@dataclass(slots=True)
class _Reader:
    """Reads the code of one function."""

    function: FunctionType
    own: tuple[type, ...]
    """The classes of the scenario."""
    cells: dict[str, Any]
    found: _Touched

    def read(self, code: CodeType) -> None:
        """Note what it touches."""
        steps = [each for each in dis.get_instructions(code) if each.opname not in _NOTHING]
        changes_items = any(each.opname in _ITEMS for each in steps)
        owners: dict[str, list[dict[str, Any]]] = {}
        for at, step in enumerate(steps):
            name = str(step.argval)
            if step.opname in _VARIABLES and (step.opname.endswith("GLOBAL") or name in self.cells):
                self.found.changes[name] = name
            elif (place := self._place(code, step)) is not None:
                if (parts := _parts(place[1])) is not None:
                    owners[place[0]] = parts
                self._follow(*place, steps[at + 1 :], changes_items=changes_items)
        for step in steps:
            for owner, parts in owners.items() if step.opname in _BINDS else ():
                if isinstance(_part(parts, str(step.argval)), _PLAIN):
                    self.found.changes[f"{owner}.{step.argval}"] = f"{owner}.{step.argval}"

    def _place(self, code: CodeType, step: dis.Instruction) -> tuple[str, Any] | None:
        """The name and the value that an instruction loads, where others may know it, too."""
        name = str(step.argval)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and name in self.function.__globals__:
            return name, self.function.__globals__[name]
        if step.opname in ("LOAD_DEREF", "LOAD_CLASSDEREF") and name in self.cells:
            return name, value_at(self.cells[name], CONTENTS)
        is_self = code is self.function.__code__ and step.opname.startswith("LOAD_FAST") and name == "self"
        return ("self", self.own) if is_self and self.function.__qualname__.count(".") else None

    def _follow(self, name: str, value: Any, after: list[dis.Instruction], *, changes_items: bool) -> None:
        """What is done with what was loaded, as the next instructions say."""
        while after and after[0].opname in _LOADS and (parts := _parts(value)) is not None:
            step, after = after[0], after[1:]
            name, value = f"{name}.{step.argval}", _part(parts, str(step.argval))
        if value is NOTHING:
            return
        if value is point or (value is sys.modules["lab"] and after and after[0].argval == point.__name__):
            self.found.knows = True
        method = str(after[0].argval) if after and after[0].opname in _LOADS else ""
        if isinstance(value, MethodType | BuiltinMethodType) and not isinstance(value.__self__, type | ModuleType):
            method, value = value.__name__, value.__self__
        if isinstance(value, _CHANGEABLE):
            looks = method not in _ADDS
            changes = method in _CHANGES and not (method == "get" and isinstance(value, MutableMapping))
            changes = changes or (not method and changes_items) or callable(value)
        elif isinstance(value, _PLAIN):
            looks, changes = True, False
        else:
            looks = changes = _changes_itself(value)
        key: object = name if isinstance(value, _PLAIN) else id(value)
        if looks:
            self.found.looks[key] = name
        if changes:
            self.found.changes[key] = name


def _part(parts: list[dict[str, Any]], name: str) -> Any:
    return next((each[name] for each in parts if name in each), NOTHING)


def _parts(value: Any) -> list[dict[str, Any]] | None:
    """Where attributes of the application's own modules and classes are, or of the scenario; None of anything else."""
    if isinstance(value, tuple) and value and all(isinstance(each, type) for each in value):
        return [dict(vars(each)) for each in value]
    if isinstance(value, ModuleType):
        return [vars(value)] if is_own(value) else None
    if isinstance(value, type) and is_own(sys.modules.get(value.__module__)):
        return [dict(vars(each)) for each in value.__mro__ if is_own(sys.modules.get(each.__module__))]
    return None


def _changes_itself(value: Any) -> bool:
    """Whether it is an object that may change by what is called on it.

    Of a class of the application's own the methods tell; of a library's that is not known here.
    """
    if isinstance(value, FunctionType | ModuleType | Enum | ContextVar):
        return False
    if is_own(sys.modules.get(type(value).__module__)):
        return any(_sets(each) for name, each in vars(type(value)).items() if name != "__init__")
    return is_state(value)


def _sets(method: Any) -> bool:
    if not isinstance(method, FunctionType):
        return False
    steps = dis.get_instructions(method.__code__)
    return any(each.opname in _BINDS or each.opname in _ITEMS or each.argval in _CHANGES for each in steps)
