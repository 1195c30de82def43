"""What loaded modules have: applications and tables, by the names under which a file can import them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from sqlalchemy import MetaData, Table

__all__ = ["all_metadata", "metadata_of", "of_tests", "place_of"]


def of_tests(module: str) -> bool:
    """Whether a module is one of tests."""
    parts = module.split(".")
    return any(each in ("tests", "conftest", "__main__") or each.startswith("test_") for each in parts)


def _modules() -> Iterator[tuple[str, ModuleType]]:
    """The modules in which an application or its tables may be, those of tests left out."""
    for name, module in sorted(sys.modules.items()):
        beginning = name.partition(".")[0]
        if isinstance(module, ModuleType) and not of_tests(name) and beginning not in ("sqlalchemy", "sqlmodel", "lab"):
            yield name, module


def place_of(value: Any, known: Callable[[Any, Any], bool] = lambda one, other: one is other) -> tuple[str, str] | None:
    """Module and name of a global, the shortest one. `known` says whether a global is the value."""
    found = [
        (name, attribute)
        for name, module in _modules()
        for attribute, each in list(vars(module).items())
        if known(each, value)
    ]
    return min(found, key=lambda each: (each[0].count("."), len(each[0]), each[1]), default=None)


def metadata_of(tables: Sequence[str]) -> tuple[str, str] | None:
    """Where the metadata is that has all these tables but those of migrations: a module, and an expression in it."""
    wanted = {each for each in tables if "alembic" not in each}
    for name, module in _modules():
        for attribute, each in list(vars(module).items()):
            own = isinstance(each, MetaData)
            metadata = each if own else vars(each).get("metadata") if isinstance(each, type) else None
            if isinstance(metadata, MetaData) and wanted and wanted == {str(key) for key in metadata.tables}:
                return name, attribute if own else f"{attribute}.metadata"
    return None


def all_metadata() -> list[MetaData]:
    """Each metadata that has tables."""
    found: dict[int, MetaData] = {}
    for _, module in _modules():
        for each in list(vars(module).values()):
            table = each if isinstance(each, Table) else vars(each).get("__table__") if isinstance(each, type) else None
            metadata = table.metadata if isinstance(table, Table) else each
            if isinstance(metadata, MetaData) and metadata.tables:
                found.setdefault(id(metadata), metadata)
    return list(found.values())
