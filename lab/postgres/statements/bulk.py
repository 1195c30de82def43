"""Which statements touch several rows, and the query that finds those rows: what breakpoints need to know.

Read from SQLAlchemy's constructs, before the statement is sent. Only what is understood is offered for breakpoints:
one table, a predicate that does not pin the whole primary key, nothing that would notice a pause (NOWAIT, SKIP LOCKED)
and nothing in the predicate that would do something when the lab asks it, too. Everything else stays one step, which
it is without the lab as well, most of the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any
from weakref import WeakSet

from sqlalchemy import (
    BinaryExpression,
    BindParameter,
    Delete,
    Select,
    Table,
    TextClause,
    Update,
    and_,
    func,
    select,
    tuple_,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.elements import BooleanClauseList, ColumnClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import iterate

from lab.postgres.statements.pieces import PURE

__all__ = ["Bulk", "bulk_of", "is_harmless", "values_of"]

_NOTICES = re.compile(r"\b(?:NOWAIT|SKIP\s+LOCKED)\b", re.IGNORECASE)


_one_row: WeakSet[Any] = WeakSet()
"""Compiled statements that lock one row at most, whatever their values: most are, and come again."""


class Bulk:
    """A statement that may lock several rows of one table, and the query that finds them, made when it is needed."""

    def __init__(self, table: Table, statement: Any, context: Any) -> None:
        self.table = table
        self._statement = statement
        self._context = context

    @cached_property
    def question(self) -> tuple[Select[Any], Mapping[str, Any]] | None:
        """A query and its parameters, or None for a statement that is not to be asked about.

        It gives (number, whether the row could be locked now, key ...), one row for each time that the statement
        meets one, in the statement's order.
        """
        met = self._statement
        if isinstance(met, Select):
            met = met._generate()  # noqa: SLF001 - SQLAlchemy has no public way to take a FOR UPDATE off
            met._for_update_arg = None  # noqa: SLF001
        else:
            met = select().where(*met._where_criteria)  # noqa: SLF001
        if not all(map(is_harmless, iterate(met))):
            return None
        return _query(met, self.table), values_of(met, self._context)


def bulk_of(context: Any, text: str, *, locked: bool = False) -> Bulk | None:
    """What a statement about to be executed locks, if that may be several rows and can be told.

    `locked`: it is a plain SELECT to which the lab adds a lock.
    """
    compiled = context.compiled if context is not None else None
    if compiled is None or (compiled in _one_row and not locked):
        return None
    statement = context.invoked_statement
    if isinstance(statement, (Update, Delete)):
        table: Any = statement.table
    elif isinstance(statement, Select) and (locked or statement._for_update_arg is not None):  # noqa: SLF001
        table = None
    else:
        _one_row.add(compiled)
        return None
    # In this order: most statements go by key, and to learn the table of a SELECT costs more than all else here.
    pinned = set(_pinned(statement._where_criteria))  # noqa: SLF001
    if pinned if table is None else table in pinned:
        _one_row.add(compiled)
        return None
    if table is None:
        table = _only_table(statement)
    if not isinstance(table, Table) or context.executemany or context._is_server_side or _NOTICES.search(text):  # noqa: SLF001
        return None
    table = table.metadata.tables[table.key]
    return Bulk(table, statement, context) if table.primary_key.columns else None


def _only_table(statement: Any) -> Any:
    """The table of a SELECT that locks whatever it finds in one table."""
    if statement._limit_clause is not None or statement._group_by_clauses:  # noqa: SLF001
        return None
    froms = statement.get_final_froms()
    return froms[0] if len(froms) == 1 else None


def _pinned(criteria: Iterable[Any]) -> Iterator[Any]:
    """The tables of whose primary keys a predicate gives every column a value, so that it meets one row at most."""
    columns: dict[Any, set[str]] = {}
    left = list(criteria)
    while left:
        each = left.pop()
        if isinstance(each, BooleanClauseList) and each.operator is operators.and_:
            left += each.clauses
        if isinstance(each, BinaryExpression) and each.operator is operators.eq:
            sides = each.left, each.right
            if any(isinstance(side, BindParameter) for side in sides):
                for side in sides:
                    if isinstance(side, ColumnClause):
                        columns.setdefault(side.table, set()).add(side.key)
    for table, known in columns.items():
        if isinstance(table, Table) and {column.key for column in table.primary_key.columns} <= known:
            yield table


def is_harmless(element: Any) -> bool:
    """Whether this part of a query may be asked by the lab as well."""
    if isinstance(element, FunctionElement):
        return getattr(element, "name", "").lower() in PURE
    if isinstance(element, TextClause) or (isinstance(element, ColumnClause) and element.is_literal):
        return "(" not in str(element)
    return not isinstance(element, UpdateBase)


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


def values_of(met: Select[Any], context: Any) -> dict[str, Any]:
    """The values of the parameters that the statement names itself; all others carry theirs."""
    given = context.compiled_parameters[0] if context.compiled_parameters else {}
    named = {each.key for each in iterate(met) if isinstance(each, BindParameter) and not each.unique}
    return {name: value for name, value in given.items() if name in named}
