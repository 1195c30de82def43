"""The places that the setup of a scenario may bind a name at, and what its code says of each."""

from __future__ import annotations

import dis
import inspect
import sys
from dataclasses import dataclass
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from lab.explore.functions_named import NOTHING, codes, functions, is_own, owners_named, values_named
from lab.scenario.declare import Scenario

__all__ = ["Named", "Place", "named_by_setup", "owners_of", "put"]

Place = tuple[Any, str]
"""A class, a module or an object, and the name of an attribute; a cell, and "cell_contents"."""
_BINDS = frozenset({"STORE_GLOBAL", "STORE_ATTR", "STORE_DEREF"})


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
    named = (owner for each in _of_setup(scenario, nearby) for owner in owners_named(each))
    return list({id(each): each for each in (*nearby, *filter(is_own, list(sys.modules.values())), *named)}.values())


def _nearby(scenario: Scenario) -> list[Any]:
    cls = type(scenario)
    setup = inspect.unwrap(cls.setup)
    around = [setup.__self__] if isinstance(setup, MethodType) and hasattr(setup.__self__, "__dict__") else []
    return [*cls.__mro__[: cls.__mro__.index(Scenario)], *around]


def named_by_setup(scenario: Scenario) -> Named:
    """What the setup of a scenario names."""
    nearby = _nearby(scenario)
    called = _of_setup(scenario, nearby)
    names, binds = set[str](), set[str]()
    for each in called:
        for code in codes(each.__code__):
            names.update(code.co_names, code.co_freevars)
            binds.update(str(step.argval) for step in dis.get_instructions(code) if step.opname in _BINDS)
    sees = [*nearby, *(sys.modules.get(each.__module__) for each in called)]
    sees += [value for each in called for value in values_named(each) if isinstance(value, ModuleType)]
    sees += [owner for each in called for owner in owners_named(each)]
    cells = [pair for each in called for pair in zip(each.__code__.co_freevars, each.__closure__ or (), strict=True)]
    return Named(frozenset(names), frozenset(binds), frozenset(map(id, sees)), tuple(cells))


def _of_setup(scenario: Scenario, nearby: list[Any]) -> list[FunctionType]:
    """The setup, and the functions of the application's own that its code names, and so on."""
    return list(functions(inspect.unwrap(type(scenario).setup), nearby))


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
