"""What a scenario holds in the process, as its setup left it: brought back before each execution, as the rows are.

A setup runs once. What it makes in the process, such as an `asyncio.Event` or a list, is changed by each execution, so
the next one would begin with what the former left: an event that is set already lets an actor go on too soon, and a
right program seems to break. So these are brought back: the attributes of the scenario; the names that its setup bound
elsewhere, as attributes of its class, variables of modules of the application's own and of functions around it; what is
in these values; and the locks, events and queues that the application's modules and the functions of the scenario name,
whoever made them. They are changed in place, since others may refer to them, too.

In a value are, at any depth: elements of collections, attributes of locks, events and queues of asyncio and anyio,
attributes of objects whose classes are the application's own, and the state of a `random.Random`. Anything else, an
engine, a client or a mapped object, is let be: what it holds belongs to another library. So is a collection that the
setup did not bind and no attribute of the scenario leads to, a list of the module say: it may be meant to gather
something over executions.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import sqlalchemy

from lab.engine.inprocess.called import is_a_users
from lab.scenario.declare import Scenario

__all__ = ["Held", "Holding"]

_PLACE = tuple[Any, str]
"""A scenario, a class or a module, and the name of an attribute; a cell, and "cell_contents"."""
_LOCKS = (asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue, asyncio.Barrier)
_LOCKS_OF_ANYIO = ("Event", "Lock", "Semaphore", "Condition", "CapacityLimiter")
_STREAMS_OF_ANYIO = "anyio.streams.memory"
_COMMON = {"builtins", "abc", "typing", "typing_extensions", "collections", "collections.abc", "contextlib"}
"""Modules whose classes an application's own may be derived from."""
_CONTENTS = "cell_contents"
_NOTHING = object()


class Holding:
    """What is bound when a setup begins."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._before = {(id(owner), name): value for (owner, name), value in _bound(scenario)}

    def held(self) -> Held:
        """The setup has ended: what the scenario holds, and what was bound meanwhile."""
        places = list(_bound(self._scenario))
        bound = [
            (place, value)
            for place, value in places
            if place[0] is self._scenario or self._before.get((id(place[0]), place[1]), _NOTHING) is not value
        ]
        return Held(self._scenario, bound, _locks(value for _, value in places))


class Held:
    """What a scenario holds in the process. `bound`: values by the places that lead to them; `locks`: wherever."""

    def __init__(
        self, scenario: Scenario, bound: Sequence[tuple[_PLACE, object]], locks: Iterable[object] = ()
    ) -> None:
        self._own = {name: value for (owner, name), value in bound if owner is scenario}
        self._elsewhere = [(place, value) for place, value in bound if place[0] is not scenario]
        self._back = list(_ways_back([*(value for _, value in bound), *locks]))

    def restore(self, scenario: Scenario) -> None:
        """Bring it back, for this scenario, which may be another one with the same parameters."""
        attributes = vars(scenario)
        if not _same(attributes, self._own):
            attributes.clear()
            attributes.update(self._own)
        for (owner, name), value in self._elsewhere:
            if _value(owner, name) is not value:
                setattr(owner, name, value)
        for back in self._back:
            back()


def _bound(scenario: Scenario) -> Iterator[tuple[_PLACE, object]]:
    """The places where the setup of a scenario may bind a name, and what is bound there now."""
    cls = type(scenario)
    ours = cls.__mro__[: cls.__mro__.index(Scenario)]
    modules = [each for each in list(sys.modules.values()) if _is_own_module(each)]
    for owner in (scenario, *ours, *modules):
        yield from (((owner, name), value) for name, value in list(vars(owner).items()) if not name.startswith("__"))
    setup = inspect.unwrap(cls.setup)
    if isinstance(setup, MethodType) and _has_state(setup.__self__):  # of the object whose test races
        owner = setup.__self__
        yield from (((owner, name), value) for name, value in list(getattr(owner, "__dict__", {}).items()))
    seen = set[int]()
    for function in (setup, *(inspect.unwrap(each) for kind in ours for each in vars(kind).values() if callable(each))):
        for cell in _cells(function, seen):
            yield (cell, _CONTENTS), _value(cell, _CONTENTS)


def _cells(function: Any, seen: set[int]) -> Iterator[CellType]:
    """The variables of functions around it that a function names, and those that the functions among these name."""
    for cell in getattr(function, "__closure__", None) or ():
        if id(cell) not in seen:
            seen.add(id(cell))
            yield cell
            if isinstance(inside := _value(cell, _CONTENTS), FunctionType):
                yield from _cells(inside, seen)


def _locks(values: Iterable[object]) -> Iterator[object]:
    """The locks, events and queues among these, in the classes and objects of the application's own, in collections."""
    for value in values:
        inside = _inside(value)
        if isinstance(value, type) and _is_own_module(sys.modules.get(value.__module__)):
            inside += vars(value).values()
        yield from (each for each in (value, *inside) if _is_lock(each))


def _is_lock(value: object) -> bool:
    cls = type(value)
    if isinstance(value, _LOCKS) or cls.__module__ == _STREAMS_OF_ANYIO:
        return True
    return f"{cls.__module__}.".startswith("anyio.") and cls.__name__.removesuffix("Adapter") in _LOCKS_OF_ANYIO


def _value(owner: Any, name: str) -> object:
    """What is bound at a place, without asking descriptors."""
    if isinstance(owner, CellType):
        with contextlib.suppress(ValueError):  # it is empty
            return owner.cell_contents
        return _NOTHING
    return vars(owner).get(name, _NOTHING)


def _is_own_module(module: object) -> bool:
    return isinstance(module, ModuleType) and is_a_users(module)


def _ways_back(values: Iterable[object]) -> Iterator[Callable[[], None]]:
    """For each value that can change, and those in it: what brings it back to what it is now."""
    seen: dict[int, object] = {}
    ahead = [*values]
    while ahead:
        value = ahead.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value  # kept, so that its id stays its own
        ahead += _inside(value)
        yield from _back(value)


def _inside(value: Any) -> list[Any]:
    """The values in a value."""
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    found: list[Any] = []
    if isinstance(value, dict):
        found += dict.values(value)
    elif isinstance(value, list | tuple | deque | set | frozenset):
        found += value
    if _has_state(value):
        found += getattr(value, "__dict__", {}).values()
        found += (each for _, each in _in_slots(value))
    return found


def _back(value: Any) -> Iterator[Callable[[], None]]:
    if isinstance(value, dict):
        yield _dict_back(value)
    elif isinstance(value, list | deque | bytearray | set):
        yield _collection_back(value)
    elif isinstance(value, random.Random):
        yield partial(value.setstate, value.getstate())
    if _has_state(value):
        if isinstance(attributes := getattr(value, "__dict__", None), dict):
            yield _dict_back(attributes)
        if slots := list(_in_slots(value)):
            yield partial(_fill_slots, value, slots)


def _dict_back(value: dict[Any, Any]) -> Callable[[], None]:
    kind = OrderedDict if isinstance(value, OrderedDict) else dict
    before = dict(value.items())

    def back() -> None:
        if not _same(value, before):
            kind.clear(value)
            for key, each in before.items():
                kind.__setitem__(value, key, each)

    return back


def _collection_back(value: Any) -> Callable[[], None]:
    kind: Any = next(each for each in (list, deque, bytearray, set) if isinstance(value, each))
    before, add = list(value), kind.update if kind is set else kind.extend

    def back() -> None:
        kind.clear(value)
        add(value, before)

    return back


def _same(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    """Whether the very same keys lead to the very same values, in the same order."""
    return len(one) == len(other) and all(
        key is its_key and value is its for (key, value), (its_key, its) in zip(one.items(), other.items(), strict=True)
    )


def _has_state(value: Any) -> bool:
    """Whether its attributes are brought back: a lock, event or queue, or an object of the application's own."""
    cls = type(value)
    if isinstance(value, type | ModuleType | FunctionType | Enum | Scenario | BaseException):
        return False
    if _is_lock(value):
        return True
    if sqlalchemy.inspect(cls, raiseerr=False) is not None:
        return False  # a mapped object: SQLAlchemy has a state of its own for it
    bases = [each for each in cls.__mro__ if each.__module__ not in _COMMON]
    return bool(bases) and all(_is_own_module(sys.modules.get(each.__module__)) for each in bases)


def _in_slots(value: Any) -> Iterator[tuple[str, object]]:
    """The slots that are filled, and what is in them."""
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            if name in ("__dict__", "__weakref__"):
                continue
            inner = f"_{cls.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            with contextlib.suppress(AttributeError):  # it is empty
                yield inner, object.__getattribute__(value, inner)


def _fill_slots(value: Any, before: list[tuple[str, object]]) -> None:
    now = dict(_in_slots(value))
    for name in now.keys() - dict(before).keys():
        object.__delattr__(value, name)
    for name, each in before:
        if now.get(name, _NOTHING) is not each:
            object.__setattr__(value, name, each)
