"""The places that the setup of a scenario may bind a name at, and what its code says of each."""

from __future__ import annotations

import contextlib
import dis
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from lab.engine.inprocess.called import is_a_users
from lab.scenario.declare import Scenario

__all__ = ["CONTENTS", "NOTHING", "Named", "Place", "codes", "is_own", "named_by_setup", "owners_of", "put", "value_at"]

Place = tuple[Any, str]
"""A class, a module or an object, and the name of an attribute; a cell, and "cell_contents"."""
CONTENTS = "cell_contents"
_BINDS = frozenset({"STORE_GLOBAL", "STORE_ATTR", "STORE_DEREF"})
_DEEPEST = 3
"""How many functions one is behind another."""
NOTHING = object()
"""Stands for the value at a place where none is."""
_OWN: dict[tuple[str, str | None], bool] = {}
"""Modules by name and file: there are many, and each setup asks for all."""


@dataclass(frozen=True, slots=True)
class Named:
    """What the code of a setup names, and that of the functions of the application's own that it calls."""

    names: frozenset[str]
    binds: frozenset[str]
    """Those that it binds, perhaps to the value that is there already."""
    owners: frozenset[int]
    """By id: the classes, modules and objects whose attributes it can mean."""
    cells: tuple[tuple[str, CellType], ...]
    """The variables of functions around it."""

    def is_bound(self, owner: object, name: str) -> bool:
        """Whether it binds this attribute."""
        return name in self.binds and id(owner) in self.owners

    def is_named(self, owner: object, name: str) -> bool:
        """Whether it names this attribute."""
        return name in self.names and id(owner) in self.owners


def owners_of(scenario: Scenario) -> list[Any]:
    """What attributes may be bound at.

    Its class, an object whose method the setup is, each module of the application's own, and each class and function of
    its own that the setup names.
    """
    nearby = _nearby(scenario)
    named = (owner for each in _of_setup(scenario, nearby) for owner in _owners_named(each))
    return list({id(each): each for each in (*nearby, *filter(is_own, list(sys.modules.values())), *named)}.values())


def _nearby(scenario: Scenario) -> list[Any]:
    cls = type(scenario)
    setup = inspect.unwrap(cls.setup)
    around = [setup.__self__] if isinstance(setup, MethodType) and hasattr(setup.__self__, "__dict__") else []
    return [*cls.__mro__[: cls.__mro__.index(Scenario)], *around]


def named_by_setup(scenario: Scenario) -> Named:
    """What the setup of a scenario names."""
    nearby = _nearby(scenario)
    functions = _of_setup(scenario, nearby)
    names, binds = set[str](), set[str]()
    for each in functions:
        for code in codes(each.__code__):
            names.update(code.co_names, code.co_freevars)
            binds.update(str(step.argval) for step in dis.get_instructions(code) if step.opname in _BINDS)
    sees = [*nearby, *(sys.modules.get(each.__module__) for each in functions)]
    sees += [value for each in functions for value in _values_named(each) if isinstance(value, ModuleType)]
    sees += [owner for each in functions for owner in _owners_named(each)]
    cells = [pair for each in functions for pair in zip(each.__code__.co_freevars, each.__closure__ or (), strict=True)]
    return Named(frozenset(names), frozenset(binds), frozenset(map(id, sees)), tuple(cells))


def _of_setup(scenario: Scenario, nearby: list[Any]) -> list[FunctionType]:
    """The setup, and the functions of the application's own that its code names, and so on."""
    return list(_functions(inspect.unwrap(type(scenario).setup), nearby))


def _functions(setup: Any, owners: list[Any]) -> Iterator[FunctionType]:
    ahead, seen = [(setup, 0)], set[int]()
    while ahead:
        value, depth = ahead.pop()
        function = inspect.unwrap(getattr(value, "__func__", value))
        if not isinstance(function, FunctionType) or id(function) in seen:
            continue
        if depth and not is_own(sys.modules.get(function.__module__)):
            continue
        seen.add(id(function))
        yield function
        if depth < _DEEPEST:
            names = {name for code in codes(function.__code__) for name in code.co_names}
            classes = [*owners, *_owners_named(function)]
            methods = (vars(owner).get(name) for owner in classes if isinstance(owner, type) for name in names)
            ahead += ((each, depth + 1) for each in (*_values_named(function), *methods))


def _values_named(function: FunctionType) -> Iterator[Any]:
    """The values behind the names in a function: of its module, of modules named there, of functions around it."""
    names = {name for code in codes(function.__code__) for name in code.co_names}
    variables = function.__globals__
    for name in names:
        value = variables.get(name)
        yield value
        if isinstance(value, ModuleType) and is_own(value):
            yield from (vars(value)[each] for each in names if each in vars(value))
    for cell in function.__closure__ or ():
        yield value_at(cell, CONTENTS)


def _owners_named(function: FunctionType) -> Iterator[type | FunctionType]:
    """The classes and functions of the application's own among these."""
    for value in _values_named(function):
        if isinstance(value, type | FunctionType) and is_own(sys.modules.get(value.__module__)):
            yield value


def codes(code: CodeType) -> Iterator[CodeType]:
    """The code of a function, and of the functions that are made in it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from codes(each)


def value_at(owner: Any, name: str) -> object:
    """What is bound at a place, without asking descriptors."""
    if isinstance(owner, CellType):
        with contextlib.suppress(ValueError):  # it is empty
            return owner.cell_contents
        return NOTHING
    return vars(owner).get(name, NOTHING)


def put(owner: Any, name: str, value: object) -> None:
    """Bind a value at a place, or nothing, without asking code of the owner's class."""
    if value is NOTHING:  # only a variable of a function around can be empty and be a place
        delattr(owner, name)
    elif isinstance(owner, type):
        type.__setattr__(owner, name, value)
    elif isinstance(owner, ModuleType | CellType):
        setattr(owner, name, value)
    else:
        vars(owner)[name] = value


def is_own(module: object) -> bool:
    """Whether it is a module of the application's own; what is entered line by line is one, too."""
    if not isinstance(module, ModuleType):
        return False
    key = module.__name__, getattr(module, "__file__", None)
    if key not in _OWN:
        _OWN[key] = is_a_users(module) or key == ("__main__", None)
    return _OWN[key]
