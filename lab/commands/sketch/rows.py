"""The rows that a setup inserts: which tables, and what their columns need; parents first."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Column, MetaData, Table
from sqlalchemy import inspect as inspect_mapped

from lab.commands.sketch.mentioned import Mentioned, table_of
from lab.commands.sketch.names import Names
from lab.commands.sketch.values import AMPLE, SCARCE, column_value, quoted

__all__ = ["NUMBER", "Tables", "insertion", "needed", "singulars"]

WIDTH = 104
"""Columns for a row, so that none is longer than 120 in its place."""
NUMBER = 2
"""How many rows each table gets: some requests name two."""


class Tables:
    """The tables of a project's loaded modules, and by which names a file can import them."""

    def __init__(self, packages: Iterable[str]) -> None:
        self.places: dict[str, tuple[str, str]] = {}
        """Full name of a table -> (module, name) of its class, or of the table itself."""
        self.tables: dict[str, Table] = {}
        self._bases: dict[int, tuple[str, str]] = {}
        for module in _loaded(packages):
            for name, value in list(vars(module).items()):
                self._take(module.__name__, name, value)

    def _take(self, module: str, name: str, value: object) -> None:
        if isinstance(value, MetaData):
            self._bases.setdefault(id(value), (module, name))
        if isinstance(value, type) and value.__module__ == module:
            metadata = vars(value).get("metadata")
            if isinstance(metadata, MetaData):
                self._bases[id(metadata)] = (module, f"{value.__qualname__}.metadata")
        table = table_of(value)
        if table is None or (isinstance(value, type) and value.__module__ != module):
            return
        if isinstance(value, type) or table.fullname not in self.places:
            self.places[table.fullname] = (module, name)
            self.tables[table.fullname] = table

    def metadata_of(self, table: Table, names: Names) -> str:
        """The expression for the metadata of a table."""
        if place := self._bases.get(id(table.metadata)):
            return names.of(*place)
        return f"{names.of(*self.places[table.fullname])}.metadata"

    def main(self) -> Table | None:
        """A table of the metadata that most tables have."""
        tables = self.all()
        times = Counter(id(each.metadata) for each in tables)
        return max(tables, key=lambda each: times[id(each.metadata)], default=None)

    def all(self) -> list[Table]:
        """Parents first."""
        return _sorted(self.tables.values())

    def are_whole(self) -> bool:
        """Whether every foreign key leads to a table that is loaded, so that the tables can be made."""
        return all(
            key.target_fullname.rpartition(".")[0] in table.metadata.tables
            for table in self.tables.values()
            for key in table.foreign_keys
        )


def _loaded(packages: Iterable[str]) -> Iterator[Any]:
    tops = set(packages)
    for name, module in list(sys.modules.items()):
        if module is not None and name.partition(".")[0] in tops and hasattr(module, "__dict__"):
            yield module


def _sorted(tables: Iterable[Table]) -> list[Table]:
    tables = list(tables)
    order = {each: place for metadata in {id(t.metadata): t.metadata for t in tables}.values()
             for place, each in enumerate(metadata.sorted_tables)}  # fmt: skip
    return sorted(tables, key=lambda each: order.get(each, 0))


def needed(found: Mentioned, tables: Tables, parameters: Iterable[str], *, made: bool) -> list[Table]:
    """What has to hold rows: what is read, what parameters name, and what rows of these and of the made ones refer to.

    `made`: also what is read and made, as by a request that looks first whether it was made before.
    """
    words = {name.rpartition("_")[0] for name in parameters if name.rpartition("_")[2] == "id"}
    wanted = {name for name in found.read if name in tables.tables and (made or name not in found.made)}
    wanted |= {name for name, table in tables.tables.items() if words & singulars(table.name)}
    todo = [tables.tables[name] for name in {*wanted, *found.made} if name in tables.tables]
    seen: set[str] = set()
    while todo:
        table = todo.pop()
        if table.fullname in seen:
            continue
        seen.add(table.fullname)
        for column in table.columns:
            for key in column.foreign_keys:
                parent = key.column.table
                if not column.nullable and parent is not table:
                    wanted.add(parent.fullname)
                    todo.append(parent)
    return _sorted(tables.tables[name] for name in wanted if name in tables.tables)


def singulars(name: str) -> set[str]:
    """What one row of a table may be called."""
    return {name, name.removesuffix("s"), name.removesuffix("es"), f"{name[:-3]}y" if name.endswith("ies") else name}


def insertion(table: Table, tables: Tables, names: Names, *, ample: bool) -> Iterator[str]:
    """The lines of a setup that fill a table. `ample`: numbers are more, also those that would be 0 by default."""
    amount = AMPLE if ample else SCARCE
    place = names.of(*tables.places[table.fullname])
    yield "await session.execute("
    yield f"    {names.of('sqlalchemy', 'insert')}({place}),"
    yield "    ["
    for row in range(1, NUMBER + 1):
        columns = _columns(table, ample=ample)
        values = [
            f"{quoted(_key(table, each, tables))}: {column_value(each, row, names, amount=amount)}" for each in columns
        ]
        line = f"{{{', '.join(values)}}},"
        if len(line) <= WIDTH:
            yield f"        {line}"
        else:
            yield "        {"
            yield from (f"            {value}," for value in values)
            yield "        },"
    yield "    ],"
    yield ")"


def _columns(table: Table, *, ample: bool) -> list[Column[Any]]:
    """The columns that need a value: the database or the model gives none. Where none does, the key has one."""
    chosen = [each for each in table.columns if _needs_value(table, each) or (ample and _is_nothing(each))]
    return chosen or list(table.primary_key.columns)[:1]


def _needs_value(table: Table, column: Column[Any]) -> bool:
    given = (column.default, column.server_default, column.computed, column.identity)
    if column.nullable or any(each is not None for each in given):
        return False
    return column is not table.autoincrement_column


def _is_nothing(column: Column[Any]) -> bool:
    """Whether a number of a row is 0 unless it is said."""
    defaults = (getattr(column.default, "arg", None), getattr(column.server_default, "arg", None))
    return any(str(each) in ("0", "0.0", "0.00") for each in defaults)


def _key(table: Table, column: Column[Any], tables: Tables) -> str:
    """By which key a row has a column: the attribute of a class, or the table's own key."""
    module, name = tables.places[table.fullname]
    value = getattr(sys.modules[module], name)
    if isinstance(value, type):
        key: str = inspect_mapped(value).get_property_by_column(column).key
        return key
    return column.key
