"""What the schema of a scenario says of its tables, as far as its metadata does: keys, parents, kinds of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ForeignKeyConstraint, MetaData, Numeric, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.types import Integer

__all__ = ["Schema"]


@dataclass(frozen=True)
class Schema:
    """`metadata` by the schema of the lab in which its tables are, as `metadata_of` has it."""

    metadata: Mapping[str, MetaData | None]

    def table(self, name: str) -> Table | None:
        """A table by the name that footprints use; None where the metadata does not know it."""
        schema, _, plain = name.rpartition(".")
        places = ((self.metadata.get(schema), plain), *((each, name) for each in self.metadata.values()))
        return next((each.tables[key] for each, key in places if each is not None and key in each.tables), None)

    def unique_keys(self, name: str) -> list[frozenset[str]]:
        """The columns of each key that is unique for all rows of a table, the primary key included."""
        return list(_unique_keys(table)) if (table := self.table(name)) is not None else []

    def parents(self, name: str) -> frozenset[str]:
        """The tables that a table refers to by foreign keys, by the names that footprints use."""
        if (table := self.table(name)) is None:
            return frozenset()
        keys = (each for each in table.constraints if isinstance(each, ForeignKeyConstraint))
        return frozenset(each.referred_table.fullname for each in keys)

    def is_a_number(self, name: str, column: str) -> bool:
        """Whether a column of a table holds numbers, which can be added to."""
        table = self.table(name)
        return (
            table is not None and column in table.columns and isinstance(table.columns[column].type, Integer | Numeric)
        )


def _unique_keys(table: Table) -> Iterator[frozenset[str]]:
    for each in table.constraints:
        if isinstance(each, UniqueConstraint | PrimaryKeyConstraint) and each.columns:
            yield frozenset(column.name for column in each.columns)
    for index in table.indexes:
        partial = index.dialect_options["postgresql"].get("where") is not None
        if index.unique and not partial and len(index.columns) == len(index.expressions):
            yield frozenset(column.name for column in index.columns)
