"""The functions of the application's own that code names, and those that they name in turn."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from lab.engine.inprocess.called import is_a_users

__all__ = ["CONTENTS", "NOTHING", "codes", "functions", "is_own", "owners_named", "value_at", "values_named"]

CONTENTS = "cell_contents"
NOTHING = object()
"""Stands for the value at a place where none is."""
_DEEPEST = 3
"""How many functions one is behind another."""
_OWN: dict[tuple[str, str | None], bool] = {}
"""Modules by name and file: there are many, and each setup asks for all."""


def functions(first: Any, owners: list[Any]) -> Iterator[FunctionType]:
    """A function or method, and those that it names; methods, where they are of one of the `owners` or of a class."""
    ahead, seen = [(first, 0)], set[int]()
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
            classes = [*owners, *owners_named(function)]
            methods = (vars(owner).get(name) for owner in classes if isinstance(owner, type) for name in names)
            ahead += ((each, depth + 1) for each in (*values_named(function), *methods))


def values_named(function: FunctionType) -> Iterator[Any]:
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


def owners_named(function: FunctionType) -> Iterator[type | FunctionType]:
    """The classes and functions of the application's own among these."""
    for value in values_named(function):
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


def is_own(module: object) -> bool:
    """Whether it is a module of the application's own; what is entered line by line is one, too."""
    if not isinstance(module, ModuleType):
        return False
    key = module.__name__, getattr(module, "__file__", None)
    if key not in _OWN:
        _OWN[key] = is_a_users(module) or key == ("__main__", None)
    return _OWN[key]
