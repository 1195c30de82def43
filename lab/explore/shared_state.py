"""Whether the code of an actor refers to something in the process that another actor may change.

Only what the code names is looked at: variables of its module and of the functions around it, attributes of the
scenario, and the same of the functions that it calls by such names. That is enough to withhold a claim, and not to make
one.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, MutableSet
from contextvars import ContextVar
from types import CodeType, FunctionType
from typing import Any

from lab.explore.functions_named import CONTENTS, codes, value_at
from lab.scenario.declare import Scenario, parameter_names

__all__ = ["is_state", "shares_state"]

_CHANGEABLE = (MutableMapping, MutableSequence, MutableSet, bytearray, ContextVar)
_FOREIGN = ("sqlalchemy", "asyncpg", "asyncio", "anyio", "threading", "lab.", "logging", "structlog", "loguru")
"""Modules, by the beginnings of their names, whose objects are no state of the application's own."""


def shares_state(scenario: Scenario, attribute: str) -> bool:
    """Whether the method of an actor refers to a collection or an object that may change, or assigns a global.

    So does one that asks an application, for all that is known here.
    """
    if "client" in parameter_names(getattr(scenario, attribute)):
        return True  # what an application keeps is not looked at
    seen: set[CodeType] = set()
    ahead = [inspect.unwrap(getattr(type(scenario), attribute))]
    while ahead:
        function = ahead.pop()
        if not isinstance(function, FunctionType) or function.__code__ in seen:
            continue
        seen.add(function.__code__)
        if _assigns(function.__code__):
            return True
        for value in _named(function, scenario):
            function = getattr(value, "__func__", value)  # of a static method, or one of the class
            if isinstance(function, FunctionType):
                ahead.append(inspect.unwrap(function))
            elif is_state(value):
                return True
    return False


def _assigns(code: CodeType) -> bool:
    """Whether it assigns a variable of its module."""
    instructions = (each for part in codes(code) for each in dis.get_instructions(part))
    return any(each.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") for each in instructions)


def _named(function: FunctionType, scenario: Scenario) -> Iterator[Any]:
    """The values behind the names in a function: of its module, of the functions around it, of the scenario."""
    names = {name for code in codes(function.__code__) for name in code.co_names}
    variables: Mapping[str, Any] = function.__globals__
    yield from (variables[name] for name in names if name in variables)
    yield from (vars(scenario)[name] for name in names if name in vars(scenario))
    for name in names:
        yield next((vars(cls)[name] for cls in type(scenario).__mro__ if name in vars(cls)), None)
    yield from (value_at(cell, CONTENTS) for cell in function.__closure__ or ())


def is_state(value: Any) -> bool:
    """Whether it may be changed in place: a collection, or an object that keeps attributes."""
    if isinstance(value, _CHANGEABLE):
        return True
    kind = type(value)
    if isinstance(value, (type, Scenario)) or kind.__module__.startswith(_FOREIGN) or kind.__module__ == "builtins":
        return False
    frozen = getattr(kind, "__dataclass_params__", None)
    return hasattr(value, "__dict__") and not (frozen is not None and frozen.frozen)
