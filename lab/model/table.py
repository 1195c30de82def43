"""Tables: values of one kind, each in a file of its own, which is named in one line and loaded when first needed.

A line is the name of a module. So a new value is one file and one line, in the order that its kind needs, and what a
file imports costs nothing until somebody reads the table.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Generic, Protocol, TypeVar

__all__ = ["Table"]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


class Table(Mapping[str, T], Generic[T]):
    """Name -> value, in the order of the lines. Each module named has its value in the attribute `attribute`.

    Raises `TypeError` for a module whose value is of another kind, `ValueError` for a name that is there twice.
    """

    def __init__(self, kind: type[T], attribute: str, *modules: str) -> None:
        self._kind = kind
        self._attribute = attribute
        self._modules = modules

    @cached_property
    def _values(self) -> dict[str, T]:
        values: dict[str, T] = {}
        for module in self._modules:
            value = getattr(importlib.import_module(module), self._attribute, None)
            if not isinstance(value, self._kind):
                raise TypeError(f"{module}.{self._attribute} must be a {self._kind.__name__}, but is {value!r}")
            if value.name in values:
                raise ValueError(f"{module} is the second {self._kind.__name__} named {value.name!r}")
            values[value.name] = value
        return values

    def __getitem__(self, name: str) -> T:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
