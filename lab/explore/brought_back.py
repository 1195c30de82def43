"""What a setup makes in the process, brought back before each execution, as the rows are.

A setup runs once. What it makes in the process, such as an `asyncio.Event` or a list, is changed by each execution, so
the next one would begin with what the former left: an event that is set already lets an actor go on too soon, and a
right program seems to break. So these are brought back: the attributes of the scenario; the names that its setup binds
elsewhere, as attributes of its class, variables of modules of the application's own and of functions around it; the
objects that its setup names; and what is in these values. They are changed in place, since others may refer to them.

In a value are, at any depth: elements of collections, attributes of locks, events and queues of asyncio, anyio and
threads, of mocks and of objects whose classes are the application's own, the state of a `random.Random`. Anything else,
an engine, a client or a mapped object, is let be: what it holds belongs to another library. So is what the setup does
not name. To bring back part of an object, or a lock without its owner, would make states that no program can be in.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import sys
import threading
from array import array
from collections import ChainMap, OrderedDict, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import partial
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import sqlalchemy

from lab.explore.functions_named import CONTENTS, NOTHING, is_own, value_at
from lab.explore.names_of_setup import Place, named_by_setup, owners_of, put
from lab.explore.only_forward import another
from lab.scenario.declare import Scenario

__all__ = ["Held", "Holding"]

_STATEFUL = (
    *(asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue, asyncio.Barrier),
    *(threading.Event, threading.Semaphore, queue.Queue),
    *(SimpleNamespace, UserDict, UserList, ChainMap),
)
_STATEFUL_MODULES = ("anyio.streams.memory", "unittest.mock")
_OF_ANYIO = ("Event", "Lock", "Semaphore", "Condition", "CapacityLimiter")
_COMMON = {"builtins", "abc", "typing", "types", "collections", "contextlib", "unittest"}
_COMMON |= {"typing_extensions", "pydantic", "pydantic_settings", "attr", "attrs"}
"""Packages whose classes an application's own may be derived from: all that these hold are attributes."""
_STATELESS = (type, ModuleType, FunctionType, Enum, Scenario, BaseException)


class Holding:
    """What there is when a setup begins."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._owners = [(owner, dict(vars(owner))) for owner in owners_of(scenario)]
        self._cells = {id(cell): value_at(cell, CONTENTS) for _, cell in named_by_setup(scenario).cells}

    def held(self) -> Held:
        """The setup has ended: what the scenario holds, what was bound meanwhile, and the objects that were named."""
        bound: list[tuple[Place, object]] = []
        named: list[object] = []
        code = named_by_setup(self._scenario)
        before = {id(owner): attributes for owner, attributes in self._owners}
        for owner in owners_of(self._scenario):
            was = before.get(id(owner), {})  # a module that the setup imported has none
            if id(owner) not in code.owners and [*map(id, vars(owner).values())] == [*map(id, was.values())]:
                continue  # as nearly all are
            for name, value in list(vars(owner).items()):
                if name.startswith("__"):
                    continue
                if was.get(name, NOTHING) is not value or code.is_bound(owner, name):
                    bound.append(((owner, name), value))
                elif code.is_named(owner, name):
                    named.append(value)
        for name, cell in code.cells:
            value = value_at(cell, CONTENTS)
            if name in code.binds or self._cells.get(id(cell), NOTHING) is not value:
                bound.append(((cell, CONTENTS), value))
            else:
                named.append(value)
        return Held(dict(vars(self._scenario)), bound, named)


class Held:
    """What a scenario holds in the process: its attributes, what is bound at other places, and further objects."""

    def __init__(self, own: dict[str, Any], bound: list[tuple[Place, object]], named: list[object]) -> None:
        self._own, self._bound = own, bound
        self._values = _Values([*own.values(), *(value for _, value in bound), *named])

    def restore(self, scenario: Scenario) -> None:
        """Bring it back, for this scenario, which may be another one with the same parameters."""
        self._values.restore()
        now = self._values.now
        _fill(vars(scenario), {name: now(value) for name, value in self._own.items()})
        for place, value in self._bound:
            if value_at(*place) is not now(value):
                put(*place, now(value))


class _Values:
    """Values and those in them, as they are now."""

    def __init__(self, values: list[object]) -> None:
        self._seen: dict[int, object] = {}
        """By id; held, so that an id stays that of one value."""
        self._another: dict[int, Callable[[], object]] = {}
        """Of those that can only go on: what makes another one."""
        self._now: dict[int, object] = {}
        attributes: list[Callable[[], None]] = []
        collections: list[Callable[[], None]] = []
        while values:
            value = values.pop()
            if id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            inside = _inside(value)
            self._another |= {id(each): make for each in (value, *inside) if (make := another(each))}
            values += inside
            attributes += self._attributes_back(value)
            collections += self._elements_back(value)
        self._back = attributes + collections  # where an element belongs in a set may depend on its attributes

    def restore(self) -> None:
        """Bring them back."""
        self._now = {number: make() for number, make in self._another.items()}
        for back in self._back:
            back()

    def now(self, value: object) -> object:
        """The value itself, or what stands for it in this execution."""
        return self._now.get(id(value), value)

    def _attributes_back(self, value: Any) -> Iterator[Callable[[], None]]:
        if _has_state(value):
            if (attributes := _attributes(value)) is not None:
                yield self._items_back(attributes)
            if slots := list(_in_slots(value)):
                yield self._slots_back(value, slots)

    def _elements_back(self, value: Any) -> Iterator[Callable[[], None]]:
        kind = type(value)
        if issubclass(kind, dict):
            yield self._items_back(value)
        elif issubclass(kind, list | deque | set):
            base: Any = next(each for each in (list, deque, set) if issubclass(kind, each))
            yield self._collection_back(value, base)
        elif issubclass(kind, bytearray | array):
            base = bytearray if issubclass(kind, bytearray) else array
            yield partial(_numbers_back, value, base, base.__getitem__(value, slice(None)))
        elif issubclass(kind, random.Random):
            yield partial(value.setstate, value.getstate())

    def _items_back(self, value: dict[Any, Any]) -> Callable[[], None]:
        before = dict(dict.items(value))
        if self._another.keys().isdisjoint(map(id, before.values())):
            ids = [*map(id, before), *map(id, before.values())]
            return lambda: None if [*map(id, value), *map(id, dict.values(value))] == ids else _fill(value, before)
        return lambda: _fill(value, {key: self.now(each) for key, each in before.items()})

    def _collection_back(self, value: Any, kind: Any) -> Callable[[], None]:
        before, add = list(kind.__iter__(value)), kind.update if kind is set else kind.extend

        def back() -> None:
            kind.clear(value)
            add(value, map(self.now, before))

        return back

    def _slots_back(self, value: Any, before: list[tuple[str, object]]) -> Callable[[], None]:
        def back() -> None:
            there = dict(_in_slots(value))
            for name in there.keys() - dict(before).keys():
                object.__delattr__(value, name)
            for name, each in before:
                if there.get(name, NOTHING) is not self.now(each):
                    object.__setattr__(value, name, self.now(each))

        return back


def _fill(value: dict[Any, Any], before: dict[Any, Any]) -> None:
    """Give a dict these items, in this order, whatever its own class makes of that."""
    kind = OrderedDict if issubclass(type(value), OrderedDict) else dict
    kind.clear(value)
    for key, each in before.items():
        kind.__setitem__(value, key, each)


def _numbers_back(value: Any, kind: Any, before: Any) -> None:
    """Nothing resizes one that somebody looks into."""
    if value != before:
        kind.__setitem__(value, slice(None), before)


def _inside(value: Any) -> list[Any]:
    """The values in a value."""
    kind = type(value)
    if kind is MethodType:
        return [value.__self__]
    if kind is partial:
        return [value.func, *value.args, *value.keywords.values()]
    found: list[Any] = []
    if issubclass(kind, dict):
        found += dict.values(value)
    for base in (list, tuple, deque, set, frozenset):
        if issubclass(kind, base):
            found += base.__iter__(value)
    if _has_state(value):
        found += (_attributes(value) or {}).values()
        found += (each for _, each in _in_slots(value))
    return found


def _has_state(value: Any) -> bool:
    """Whether its attributes are brought back. No code of the value's own is run for that."""
    kind = type(value)
    if issubclass(kind, _STATELESS):
        return False
    if issubclass(kind, _STATEFUL) or kind.__module__ in _STATEFUL_MODULES:
        return True
    if f"{kind.__module__}.".startswith("anyio."):
        return kind.__name__.removesuffix("Adapter") in _OF_ANYIO
    bases = [each for each in kind.__mro__ if each.__module__.partition(".")[0] not in _COMMON]
    if not bases or not all(is_own(sys.modules.get(each.__module__)) for each in bases):
        return False
    return sqlalchemy.inspect(kind, raiseerr=False) is None  # SQLAlchemy has a state of its own for mapped objects


def _attributes(value: object) -> dict[str, Any] | None:
    with contextlib.suppress(AttributeError):
        found: dict[str, Any] = object.__getattribute__(value, "__dict__")
        return found
    return None


def _in_slots(value: Any) -> Iterable[tuple[str, object]]:
    """The slots that are filled, and what is in them."""
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            if name in ("__dict__", "__weakref__"):
                continue
            inner = f"_{cls.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            with contextlib.suppress(AttributeError):  # it is empty
                yield inner, object.__getattribute__(value, inner)
