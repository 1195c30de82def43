"""What statements on a table rest on: its keys, as metadata declares them and as the catalog has them.

Metadata is what an application says, and the catalog is what there is. Where the two differ, or where the catalog has
something that metadata cannot say (a rule, a trigger, a child table, a function in a CHECK), the construct of a
statement does not show what it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Table

from lab.model.footprint import Memory
from lab.postgres.statements.met import Met, MetRows
from lab.postgres.statements.pieces import name_of, qualified, unique_keys
from lab.postgres.statements.tame import is_tame
from lab.postgres.statements.tidy import is_tidy

__all__ = ["ANY", "Reference", "Relations", "Shape", "agree", "declared"]


ANY = "*"
REMEMBERED = 20_000
"""Statements of which it is kept what was seen. Code that writes values into its statements has ever new ones."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: pairs (own column, column there), from one table to another, and what is done to own rows."""

    child: str
    parent: str
    pairs: frozenset[tuple[str, str]]
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as far as its statements depend on it."""

    uniques: frozenset[frozenset[str]] = frozenset()
    references: frozenset[Reference] = frozenset()
    """Its own foreign keys, and those of others that lead to it."""
    plain: bool = True
    """A change of its rows does no more than these say."""
    apart: frozenset[str] = field(default=frozenset(), compare=False)
    """Columns in which values with different texts are different."""
    indexed: frozenset[str] = field(default=frozenset(), compare=False)
    """Columns whose change makes new entries in an index; `ANY` for each of them."""


@dataclass(slots=True)
class Relations:
    """The relations of a database, as its catalog has them."""

    shapes: dict[str, Shape] = field(default_factory=dict)
    """Tables whose rows are their own and are read as they stand: no view, no parent or child, no row security."""
    names: dict[int, str] = field(default_factory=dict)
    """Names of relations that hold rows, and of sequences that several columns draw from, by object id."""
    silent: set[int] = field(default_factory=set)
    """Object ids of relations that stand for others: indexes, views, sequences of one column."""
    functions: frozenset[str] = frozenset()
    """Names of functions that the lab knows to do no more than touch relations."""
    tame: bool = False
    """All functions of the user's are among these."""
    notices: bool = True
    """A function of the user's may notice that it waits."""
    tidy: bool = False
    """Nothing in the catalog changes the session of a statement whose text does not; see `tidy`."""
    met: MetRows = field(default_factory=MetRows)
    """The rows that statements of the scenario that runs were seen to write."""
    memory: Memory = field(default_factory=Memory)
    """What was seen of the first statements of transactions, and of those that came after them."""
    remembered: int = 0
    """How many statements these are."""

    def is_wild(self, text: str) -> bool:
        """Whether a statement may do more than touch relations."""
        return not (self.tame and is_tame(text, self.functions))

    def is_tidy(self, text: str) -> bool:
        """Whether a statement surely leaves its session as it found it, but for numbers of sequences."""
        return self.tidy and is_tidy(text, self.functions)

    def rows_of(self, text: str, parameters: object) -> Met | None:
        """The rows that a statement is known to write, if it can be paused between two of them."""
        return None if self.notices else self.met.rows_of(text, parameters)

    def memory_of(self, text: str, level: str, before: Memory | None) -> Memory:
        """What was seen of a statement that comes after another one, None for the first of its transaction."""
        if before is None and self.remembered >= REMEMBERED:
            self.memory, self.remembered = Memory(), 0
        after = (self.memory if before is None else before).after
        found = after.get((text, level))
        if found is None:
            found = after[text, level] = Memory()
            self.remembered += 1
        return found

    def clear(self) -> None:
        """Forget all; others hold this very object."""
        self.shapes.clear()
        self.names.clear()
        self.silent.clear()
        self.memory, self.remembered = Memory(), 0
        self.functions, self.tame, self.notices, self.tidy = frozenset(), False, True, False


def declared(table: Table, schema: str) -> tuple[str, Shape]:
    """The name of a table and its shape, as its metadata says; names without a schema are of `schema`."""
    uniques = frozenset(frozenset(column.name for column in unique) for unique in unique_keys(table))
    columns = frozenset(column.name for column in table.columns)
    return qualified(name_of(table), schema), Shape(uniques, frozenset(_references(table, schema)), apart=columns)


def _references(table: Table, schema: str) -> Iterator[Reference]:
    for each in table.metadata.tables.values():
        for constraint in each.foreign_key_constraints:
            if table not in (each, constraint.referred_table):
                continue
            pairs = frozenset((element.parent.name, element.column.name) for element in constraint.elements)
            yield Reference(
                qualified(name_of(each), schema),
                qualified(name_of(constraint.referred_table), schema),
                pairs,
                (constraint.onupdate or "NO ACTION").upper(),
                (constraint.ondelete or "NO ACTION").upper(),
            )


def agree(claims: tuple[tuple[str, Shape], ...], shapes: Mapping[str, Shape], *, changes: bool) -> bool:
    """Whether the catalog has the tables as they are declared; `changes`: for a statement that changes rows."""
    for name, claim in claims:
        shape = shapes.get(name)
        if shape is None or not claim.uniques <= shape.uniques:
            return False
        if changes and shape != claim:
            return False
    return True
