"""Values as code that makes them again, for the scenarios that are written."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import inspect
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

from lab.search.races.loaded import of_tests

__all__ = ["Spelled", "Spelling", "Unspelled", "fields_of"]


class Unspelled(Exception):
    """Something has no expression that makes it again; the text says what, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Spelled:
    """The body of an actor, and the parameters that it needs."""

    wants: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(slots=True)
class Spelling:
    """Writes expressions, and keeps the modules that they need."""

    modules: set[str] = field(default_factory=set)
    options: dict[str, Any] = field(default_factory=dict)
    """Of the sessions that actors get."""

    def of(self, value: Any) -> str:
        """An expression for a value. Raises `Unspelled`."""
        kind = type(value)
        if value is None or kind in (bool, int, str, bytes):
            return repr(value)
        if kind is float:
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        if isinstance(value, enum.Enum):
            return f"{self.named(kind)}.{value.name}"
        if kind in _MADE:
            return self._standard(value)
        if kind in (list, tuple, set, frozenset, dict):
            return self._holder(value, kind)
        return self.named(value) if isinstance(value, type) or inspect.isroutine(value) else self._fields(value, kind)

    def _fields(self, value: Any, kind: type) -> str:
        if (fields := fields_of(value)) is not None:
            return f"{self.named(kind)}({', '.join(f'{name}={self.of(each)}' for name, each in fields.items())})"
        raise Unspelled(f"a value of {kind.__name__} cannot be written as code")

    def named(self, value: Any) -> str:
        """The name of a global of a module that is no test. Raises `Unspelled`."""
        module, name = getattr(value, "__module__", None) or "", getattr(value, "__qualname__", "")
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is not value or of_tests(module):
            said = "is defined in a test" if of_tests(module) and found is value else "is no global of a module"
            raise Unspelled(f"{name or repr(value)} {said}")
        return self.within(module, name)

    def within(self, module: str, name: str) -> str:
        """What a module calls so."""
        if module == "builtins":
            return name
        self.modules.add(module)
        return f"{module}.{name}"

    def _standard(self, value: Any) -> str:
        """Values of the standard library, whose `repr` is the expression but for the module of some."""
        if isinstance(value, dt.datetime | dt.time) and value.tzinfo is not None:
            if type(value.tzinfo) is not dt.timezone:
                raise Unspelled(f"the time zone {value.tzinfo} cannot be written as code")
        elif isinstance(value, Decimal | UUID):
            return f"{self.within(type(value).__module__, repr(value))}"
        self.modules.add("datetime")
        return repr(value)

    def _holder(self, value: Any, kind: type) -> str:
        if kind is dict:
            return f"{{{', '.join(f'{self.of(key)}: {self.of(each)}' for key, each in value.items())}}}"
        inside = [self.of(each) for each in value]
        if kind in (set, frozenset):
            text = f"{{{', '.join(sorted(inside))}}}" if inside else "set()"
            return text if kind is set else f"frozenset({text})"
        if kind is tuple:
            return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"
        return f"[{', '.join(inside)}]"


_MADE = (Decimal, UUID, dt.datetime, dt.date, dt.time, dt.timedelta)


def fields_of(value: Any) -> Mapping[str, Any] | None:
    """What a dataclass or a model of pydantic is made of; None for any other object."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.init}
    names = getattr(type(value), "model_fields", None)
    return {name: getattr(value, name) for name in names} if isinstance(names, dict) else None
