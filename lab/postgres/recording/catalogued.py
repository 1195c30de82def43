"""What the catalog says about the tables that a history is about, in the names by which statements read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from lab.postgres.statements.beyond import Beyond
from lab.postgres.tables.reset import Tables

__all__ = ["Catalogued"]


@dataclass(frozen=True, slots=True)
class Catalogued:
    """Rows of a partition are rows of its table: the history knows no partitions."""

    keys: Mapping[str, tuple[str, ...]]
    """The columns of each table's primary key."""
    relations: Mapping[int, str]
    """The names of relations by object id."""
    functions: Collection[str]
    """A statement that calls no other functions than these may be asked again."""
    beyond: Beyond

    @classmethod
    def of(cls, tables: Tables) -> Self:
        """What is known of the tables of a database."""
        beyond = tables.beyond
        keys = {name: columns for name, columns in tables.keys.items() if name not in beyond.wholes}
        relations = {number: beyond.whole(name) for number, name in tables.relations.items()}
        return cls(keys, relations, tables.catalog.functions, beyond)
