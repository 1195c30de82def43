"""The parts of a footprint's shape: keys that a WHERE clause binds, unique keys, parents and children of a table."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Index, Table, UniqueConstraint, types
from sqlalchemy.dialects.postgresql import CITEXT, ExcludeConstraint

from lab.model.footprint import Access, Lock, Rows
from lab.postgres.statements.statement import Binding

__all__ = [
    "MANY",
    "Piece",
    "bound_columns",
    "checks_more_than_values",
    "children",
    "finds_one",
    "key_of",
    "name_of",
    "parent_locks",
    "parents",
    "qualified",
    "unique_keys",
    "unique_name",
    "value_of",
]

MANY = 50
"""Rows of one statement beyond which it counts as one of the whole table."""
_COMPARABLE = frozenset({int, str, uuid.UUID, dt.date})
"""Types of values whose texts differ exactly when PostgreSQL sees different values. No `datetime`: one moment has many
time zones."""
_COLUMNS = (types.Integer, types.String, types.Uuid, types.Date)
_NOT_AS_THEY_ARE = (types.Enum, types.CHAR, types.TypeDecorator)
"""Columns that may store two values of Python as one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """An access whose values come with each execution: `key` maps a column to the name of its parameter."""

    table: str
    lock: Lock
    reads: bool
    writes: bool
    key: tuple[tuple[str, str], ...] = ()
    scans: bool = False
    """Where it meets several rows, their order shows."""
    single: bool = False
    """It meets one row for each set of values."""
    whole: bool = False
    """The key is unique to a row, so without all of its values nothing is known of it."""

    @property
    def relation(self) -> str:
        """The table, also of a unique key."""
        return self.table.partition("!")[0]

    def filled(self, values: Mapping[str, Any]) -> Access:
        """The access of one execution."""
        known = []
        for column, name in self.key:
            texts = _texts(value_of(values, name))
            if texts is not None:
                known.append((column, texts))
        if self.whole and len(known) < len(self.key):
            known = []
        several = not self.single or any(isinstance(values.get(name, ()), (list, tuple)) for _, name in self.key)
        scans = self.scans and several
        return Access(Rows(self.table, tuple(known)), self.lock, self.reads, self.writes, scans)


def value_of(values: Mapping[str, Any], name: str) -> Any:
    """The value of a parameter; of a list, which SQLAlchemy spreads over parameters of numbered names, all of it."""
    if name in values:
        return values[name]
    return [value for key, value in values.items() if key.startswith(f"{name}_") and key[len(name) + 1 :].isdigit()]


def key_of(bindings: Iterable[Binding], table: Table, without: Collection[Any] = ()) -> tuple[tuple[str, str], ...]:
    """The columns of a table that a WHERE clause binds to values: (column, name of the parameter)."""
    found: dict[str, str] = {}
    ignored = {column.name for column in without}
    for each in bindings:
        if each.parameter is None or each.table != table.name or each.column.name in ignored:
            continue
        if _keeps_apart(each.column):
            found.setdefault(each.column.name, each.parameter)
    return tuple(sorted(found.items()))


def _keeps_apart(column: Column[Any]) -> bool:
    """Whether two values with different texts are different for this column."""
    kind = column.type
    plain = isinstance(kind, _COLUMNS) and not isinstance(kind, (*_NOT_AS_THEY_ARE, CITEXT))
    return plain and getattr(kind, "collation", None) is None


def bound_columns(table: Table, given: Collection[str]) -> dict[str, str]:
    """The columns of a new row whose given value identifies it: column -> name of the parameter."""
    return {column.name: column.key for column in table.columns if column.key in given and _keeps_apart(column)}


def _texts(value: Any) -> frozenset[str] | None:
    values = value if isinstance(value, (list, tuple)) else (value,)
    if not 0 < len(values) <= MANY or not all(type(each) in _COMPARABLE for each in values):
        return None
    return frozenset(f"{type(each).__name__}:{each!s}" for each in values)


def name_of(table: Table) -> str:
    """A table's name as `reset` and the reports say it."""
    return table.name if table.schema in (None, "public") else f"{table.schema}.{table.name}"


def qualified(name: str, schema: str) -> str:
    """The name of a table, as `name_of` says it, where a connection leads to a schema; "" for the lab's first."""
    return name if not schema or "." in name.partition("!")[0] else f"{schema}.{name}"


def unique_name(table: Table, unique: tuple[Any, ...]) -> str:
    """A unique key as a table of its own: two rows of one value meet there, whatever else they hold."""
    return f"{name_of(table)}!{'+'.join(sorted(column.name for column in unique))}"


def finds_one(table: Table, key: Iterable[tuple[str, str]]) -> bool:
    """Whether a key binds every column of a unique key."""
    bound = {column for column, _ in key}
    return any({column.name for column in unique} <= bound for unique in unique_keys(table))


def unique_keys(table: Table) -> Iterator[tuple[Any, ...]]:
    """The columns of each unique key of a table, the primary one included."""
    if len(table.primary_key.columns):
        yield tuple(table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(constraint.columns)
    for index in table.indexes:
        if index.unique and not checks_more_than_values(index):
            yield tuple(index.columns)


def checks_more_than_values(constraint: Any) -> bool:
    """Whether two rows may clash though their columns differ, or at another time than when they are written.

    So do a unique index over expressions or over some rows, an exclusion, and whatever is deferred to the COMMIT.
    """
    if isinstance(constraint, Index):
        partial = constraint.dialect_options["postgresql"].get("where") is not None
        return constraint.unique and (partial or not all(isinstance(each, Column) for each in constraint.expressions))
    return isinstance(constraint, ExcludeConstraint) or bool(getattr(constraint, "deferrable", None))


def parents(table: Table) -> Iterator[tuple[Table, tuple[tuple[Any, Any], ...]]]:
    """Each table that a row refers to, with the pairs (own column, column there)."""
    for constraint in table.foreign_key_constraints:
        yield constraint.referred_table, tuple((element.parent, element.column) for element in constraint.elements)


def parent_locks(table: Table, bound: Mapping[str, str]) -> Iterator[Piece]:
    """The locks that a new row takes on what it refers to."""
    for parent, pairs in parents(table):
        key = tuple((theirs.name, bound[mine.name]) for mine, theirs in pairs if mine.name in bound)
        complete = len(key) == len(pairs)
        yield Piece(name_of(parent), Lock.KEY_SHARE, reads=False, writes=False, key=key if complete else (), whole=True)


def children(table: Table, *, deletes: bool) -> Iterator[Piece]:
    """What the database does to rows that refer to a deleted or renamed one; a mere check locks nothing it finds."""
    seen, ahead = {table}, [table]
    while ahead:
        parent = ahead.pop()
        for child in parent.metadata.tables.values():
            for constraint in child.foreign_key_constraints:
                if constraint.referred_table is not parent:
                    continue
                action = (constraint.ondelete if deletes else constraint.onupdate) or ""
                if action.upper() in ("", "NO ACTION", "RESTRICT"):
                    yield Piece(name_of(child), Lock.KEY_SHARE, reads=True, writes=False)
                    continue
                yield Piece(name_of(child), Lock.UPDATE, reads=True, writes=True, scans=True)
                if child not in seen:
                    seen.add(child)
                    ahead.append(child)
