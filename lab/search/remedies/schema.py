"""What the schema of a scenario says of a table, as far as its metadata does: keys, parents, kinds of columns.

Of a table that the metadata does not know, which is None here, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ForeignKeyConstraint, Numeric, PrimaryKeyConstraint, Table, UniqueConstraint
from sqlalchemy.types import Date, DateTime, Integer

__all__ = ["is_a_moment", "is_a_number", "parents_of", "unique_keys"]


def unique_keys(table: Table | None) -> list[frozenset[str]]:
    """The columns of each key that is unique over all rows, the primary key included."""
    return [] if table is None else list(_unique_keys(table))


def parents_of(table: Table | None) -> frozenset[str]:
    """The tables that it refers to by foreign keys, by the names that footprints use."""
    constraints = () if table is None else table.constraints
    keys = (each for each in constraints if isinstance(each, ForeignKeyConstraint))
    return frozenset(each.referred_table.fullname for each in keys)


def is_a_number(table: Table | None, column: str) -> bool:
    """Whether a column holds numbers, which can be added to."""
    return table is not None and column in table.columns and isinstance(table.columns[column].type, Integer | Numeric)


def is_a_moment(table: Table | None, column: str) -> bool:
    """Whether a column holds dates or times."""
    return table is not None and column in table.columns and isinstance(table.columns[column].type, Date | DateTime)


def _unique_keys(table: Table) -> Iterator[frozenset[str]]:
    for each in table.constraints:
        if isinstance(each, UniqueConstraint | PrimaryKeyConstraint) and each.columns:
            yield frozenset(column.name for column in each.columns)
    for index in table.indexes:
        partial = index.dialect_options["postgresql"].get("where") is not None
        if index.unique and not partial and len(index.columns) == len(index.expressions):
            yield frozenset(column.name for column in index.columns)
