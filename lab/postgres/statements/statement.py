"""A statement in the lab's own words: what `construct` beside this file reads from SQLAlchemy's construct of it.

Tables and columns are SQLAlchemy's own, since its metadata knows their keys, constraints and types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from sqlalchemy import Column, Table

__all__ = ["NOT_UNDERSTOOD", "Binding", "Kind", "RowLock", "Shown", "Statement"]


class Kind(Enum):
    """What a statement is."""

    SELECT = auto()
    QUERY = auto()
    """Any other that returns rows and changes none, such as a UNION."""
    INSERT = auto()
    UPDATE = auto()
    DELETE = auto()
    TEXT = auto()
    OTHER = auto()
    """Also what is not understood."""


@dataclass(frozen=True, slots=True)
class RowLock:
    """FOR UPDATE and its weaker kinds."""

    shared: bool
    spares_key: bool
    """The kind that leaves keys alone: NO KEY UPDATE or KEY SHARE."""
    waits: bool
    """Neither NOWAIT nor SKIP LOCKED."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A part of a WHERE clause that must hold: a column equals a value, or (`several`) is one of some."""

    column: Column[Any]
    parameter: str | None
    """The name of the parameter that holds the value, None if it has none."""
    several: bool

    @property
    def table(self) -> str:
        """The name of the table, or the one that it has in this statement."""
        return getattr(self.column.table, "name", None) or ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of a result: which column of which table, or else where it comes from."""

    name: str = ""
    table: Table | None = None
    role: object = None
    """The same for all columns that come from the table in the same part."""
    of_values: bool = False
    """Computed from what stands in rows, and not only from how many there are."""


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """What is known of a statement before its values are known."""

    kind: Kind = Kind.OTHER
    table: Table | None = None
    """The one that it changes, or the only one in the FROM of a SELECT; None if that is something else."""
    tables: tuple[Table, ...] = ()
    """All that it names, wherever."""
    sources: int = 0
    """How many things, joins counted once, stand in the FROM of a SELECT."""
    joins: bool = False
    joined: frozenset[Table] = frozenset()
    """The tables in the FROM of a SELECT, the parts of joins included."""
    renamed: bool = False
    """A table stands there under another name: maybe two roles of one table, whose keys must not be mixed up."""
    criteria: tuple[Any, ...] = ()
    """The WHERE clause as SQLAlchemy has it, for readers that send it to PostgreSQL again; empty if it has none."""
    names: Mapping[Any, str] = field(default_factory=dict, repr=False, compare=False)
    """The names of its parameters in every equal compiled form; their objects are those of the form that was read."""
    parts: int = 0
    """How many parts of the WHERE clause must all hold."""
    bindings: tuple[Binding, ...] = ()
    lock: RowLock | None = None
    limited: bool = False
    offset: bool = False
    distinct: bool = False
    grouped: bool = False
    having: bool = False
    suffixed: bool = False
    folds: bool = False
    """Every column of the result is an aggregate of all rows."""
    sorted_by: frozenset[str] = frozenset()
    shown: tuple[Shown, ...] = ()
    """The columns of the result, in their order."""
    shown_functions: frozenset[str] = frozenset()
    shown_obscure: bool = False
    """A column of the result may fold rows without saying so."""
    given: frozenset[str] = frozenset()
    """The keys of the columns to which a new or changed row is given a value."""
    simple: bool = True
    """An INSERT of values only: no ON CONFLICT, no SELECT."""
    computes: bool = False
    """What an UPDATE writes comes from values in rows."""
    functions: frozenset[str] = frozenset()
    """The names of all functions, in lower case."""
    texts: bool = False
    """Something in it is a text of SQL."""
    opaque: bool = False
    """Something in it may hold or do more than the construct shows."""
    selects: int = 0
    """How many SELECTs there are in it, itself included."""
    nested: bool = False
    """There is a query in it."""
    ctes: bool = False
    harmless: bool = False
    """The lab may run its condition (of a SELECT: all of it) as well, without any effect."""
    words: frozenset[str] = field(default=frozenset(), repr=False)
    """The words of its SQL, in lower case."""


NOT_UNDERSTOOD = Statement()
