"""Which statements touch several rows, and the query that finds those rows: what breakpoints need to know.

Read from SQLAlchemy's constructs, before the statement is sent. Only what is understood is offered for breakpoints: one
table, a predicate that does not pin the whole primary key, nothing that would notice a pause (NOWAIT, SKIP LOCKED) and
nothing in the predicate that would have an effect when the lab evaluates it too. Everything else stays one step, as it
mostly is without the lab.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from sqlalchemy import Delete, Select, Table, Update, and_, func, select, tuple_
from sqlalchemy.exc import SQLAlchemyError

from lab.postgres.statements.beyond import looks_at_others
from lab.postgres.statements.construct import read, statement_of, unlocked, values_of, where
from lab.postgres.statements.statement import Kind, Statement

__all__ = ["Bulk", "bulk_of"]

_NOTICES = re.compile(r"\b(?:NOWAIT|SKIP\s+LOCKED)\b", re.IGNORECASE)


class Bulk:
    """A statement that may lock several rows of one table, and the query that finds them, made when it is needed."""

    def __init__(self, table: Table, construct: Any, context: Any, schema: str = "", *, looks: bool = False) -> None:
        self.table = table
        self.schema = schema
        """Where tables are whose names say no schema; "" for the lab's first."""
        self.looks = looks
        """It looks at other rows before it comes to the first that it locks."""
        self._construct = construct
        self._context = context

    @cached_property
    def question(self) -> tuple[Select[Any], Mapping[str, Any]] | None:
        """A query and its parameters, or None for a statement from which SQLAlchemy can make no such query.

        It gives (number, whether the row could be locked now, key ...), one row for each time that the statement
        meets one, in the statement's order.
        """
        met = self._construct
        met = unlocked(met) if isinstance(met, Select) else select().where(*where(met))
        try:
            return _query(met, self.table), values_of(met, self._context)
        except SQLAlchemyError:
            return None


def bulk_of(context: Any, text: str, *, locked: bool = False, schema: str = "") -> Bulk | None:
    """The locks of a statement about to be executed, if they may be on several rows and are understood.

    `locked`: it is a plain SELECT to which the lab adds a lock.
    """
    compiled = None if context is None else context.compiled
    table = read(compiled, _table, otherwise=None)
    if table is None:
        return None
    statement = statement_of(compiled)
    assert statement is not None
    if statement.kind is Kind.SELECT and statement.lock is None and not locked:
        return None
    construct = context.invoked_statement  # with the values of this execution
    if not isinstance(construct, (Select, Update, Delete)) or context.executemany or _NOTICES.search(text):
        return None
    if context.cursor.server_side:
        return None
    looks = not isinstance(construct, Select) and looks_at_others(text)
    return Bulk(table, construct, context, schema, looks=looks)


def _table(statement: Statement) -> Table | None:
    """The table of which a statement may meet several rows, if it is one, has a primary key and may be queried."""
    if statement.kind not in (Kind.SELECT, Kind.UPDATE, Kind.DELETE) or not statement.harmless:
        return None
    if statement.limited or statement.grouped or statement.table is None:
        return None
    pinned = set(_pinned(statement))
    if pinned if statement.kind is Kind.SELECT else statement.table in pinned:
        return None
    return statement.table if statement.table.primary_key.columns else None


def _pinned(statement: Statement) -> Iterator[Table]:
    """The tables of whose primary keys the condition gives every column a value, so that it meets one row at most."""
    columns: dict[Table, set[str]] = {}
    for each in statement.bindings:
        if not each.several and isinstance(each.column.table, Table):
            columns.setdefault(each.column.table, set()).add(each.column.key)
    for table, known in columns.items():
        if {column.key for column in table.primary_key.columns} <= known:
            yield table


def _query(met: Select[Any], table: Table) -> Select[Any]:
    keys = list(table.primary_key.columns)
    # Numbered in a query around it: the number must follow an ORDER BY of the statement itself.
    inner = met.with_only_columns(*keys, maintain_column_froms=True).subquery()
    numbered = select(func.row_number().over().label("number"), *inner.c).cte("met")
    here = list(numbered.c)[1:]
    free = select(*keys).where(tuple_(*keys).in_(select(*here))).with_for_update(skip_locked=True).cte("free")
    same = and_(*(one == other for one, other in zip(here, free.c, strict=True)))
    lockable = next(iter(free.c)).is_not(None)
    return select(numbered.c.number, lockable, *here).outerjoin_from(numbered, free, same).order_by(numbered.c.number)
