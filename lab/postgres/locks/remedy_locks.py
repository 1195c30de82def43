"""Locks the rows that a remedy names, in an actor's own transaction, without a change of its code.

A plain SELECT of one table gets FOR UPDATE at its end, so it is the same statement with a lock. One that adds rows up
may not be locked itself (PostgreSQL refuses it), so its rows are locked by a statement before it. That one, like those
which lock rows at the beginning of a transaction, is an ordinary statement of the actor: a scheduling point, with a
footprint, in the trace. What is not understood (text, joins, subqueries, DISTINCT, GROUP BY) is left alone and noted.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import Any

from sqlalchemy import MetaData, Select, Table, and_, or_, select, true

from lab.errors import defect
from lab.model.footprint import Access, Lock, Rows
from lab.model.remedy import Applied, Remedy
from lab.postgres.statements.construct import read, statement_of, values_of, where
from lab.postgres.statements.functions import AGGREGATES, COLLECTING, PURE
from lab.postgres.statements.pieces import name_of, qualified
from lab.postgres.statements.statement import Kind, Statement

__all__ = ["Locking", "with_lock"]

_OWN = "lab_locks_rows"
"""Execution option of the statements that are sent here."""
_CLAUSE = " FOR UPDATE"
_PLAIN = re.compile(
    r"\s*(SELECT|WITH|TABLE)\b(?!.*\bFOR\s+(UPDATE|NO\s+KEY|SHARE|KEY\s+SHARE))", re.IGNORECASE | re.DOTALL
)
_MANY_OF_ONE = frozenset({"unnest"})
"""PostgreSQL locks no rows for a SELECT of these."""
_KINDS: dict[str, Callable[[str], object]] = {
    "int": int,
    "str": str,
    "UUID": uuid.UUID,
    "date": dt.date.fromisoformat,
}
"""How a value of a footprint's key is read back, by the type that stands before it."""


class _How(Enum):
    """How a statement can be made to lock what it reads."""

    NOT_AT_ALL = auto()
    """It reads nothing without a lock."""
    AT_ITS_END = auto()
    BEFORE_IT = auto()
    LEFT_ALONE = auto()


class Locking:
    """The locks of one remedy in one execution."""

    def __init__(self, remedy: Remedy, metadata: Mapping[str, MetaData | None]) -> None:
        """`metadata` by the schema to which the connections lead that are for it; "" is the lab's first."""
        self._remedy = remedy
        self._tables: dict[str, dict[str, Table]] = {
            schema: {qualified(name_of(table), schema): table for table in each.tables.values()} if each else {}
            for schema, each in metadata.items()
        }
        self._locked: set[str] = set()
        self._left: set[str] = set()
        self._defect = ""

    def applied(self, retries: dict[str, int], attempts: int) -> Applied:
        """What was done, beside the attempts that were made again."""
        return Applied(retries, attempts, frozenset(self._locked), frozenset(self._left), self._defect)

    def broke(self, error: Exception) -> None:
        """A lock could not be put there, and not for what the server says."""
        self._defect = self._defect or defect("put a lock there", error)

    def begin(self, connection: Any, actor: str, context: Any, schema: str = "") -> None:
        """At the beginning of a transaction on a connection that leads to `schema`: lock what the actor is to lock."""
        if context.execution_options.get(_OWN):
            return
        for question in self._first(self._remedy.rows_of(actor), self._tables[schema]):
            _ask(connection, question, {})

    def _first(self, rows: Iterable[Rows], tables: Mapping[str, Table]) -> Iterator[Select[Any]]:
        by_table: dict[str, list[Rows]] = {}
        for each in rows:
            if each.table in tables:  # others are locked where a transaction on their own database begins
                by_table.setdefault(each.table, []).append(each)
        for name in sorted(by_table):
            table = tables[name]
            keys = list(table.primary_key.columns)
            wanted = [_criterion(table, each) for each in by_table[name]]
            yield select(*keys).where(or_(*wanted)).order_by(*keys).with_for_update()

    def read(self, connection: Any, statement: str, context: Any, schema: str = "") -> str:
        """Before a statement: the text to send instead, which locks what it reads where that is wanted and possible."""
        if not self._remedy.lock_reads or context.execution_options.get(_OWN):
            return statement
        how, tables = _how(context, statement, schema)
        if how is _How.NOT_AT_ALL or not self._wanted(tables, statement, context):
            return statement
        if how is _How.LEFT_ALONE or connection.connection.dbapi_connection.readonly:
            self._left.add(statement)
            return statement
        self._locked.add(statement)
        if how is _How.AT_ITS_END:
            return statement + _CLAUSE
        _ask(connection, *_rows_of(next(iter(tables)), self._tables.get(schema, {}), context))
        return statement

    def _wanted(self, tables: frozenset[str], statement: str, context: Any) -> bool:
        """Whether a statement reads a table whose rows are to be locked; a text is judged by its words."""
        if getattr(context, "compiled", None) is None or not tables:
            words = set(re.findall(r"\w+", statement.lower()))
            tables = frozenset(name for name in self._remedy.lock_reads if name.rpartition(".")[2].lower() in words)
        return not tables.isdisjoint(self._remedy.lock_reads)


def with_lock(footprint: Callable[[], tuple[Access, ...] | None]) -> Callable[[], tuple[Access, ...] | None]:
    """A function that computes the footprint of a SELECT with FOR UPDATE, given the one for the plain SELECT."""

    def accesses() -> tuple[Access, ...] | None:
        plain = footprint()
        return None if plain is None else tuple(replace(each, lock=Lock.UPDATE) for each in plain)

    return accesses


def _ask(connection: Any, question: Select[Any], parameters: Any) -> None:
    connection.execute(question, parameters, execution_options={_OWN: True}).all()


def _criterion(table: Table, rows: Rows) -> Any:
    columns = {column.name: column for column in table.columns}
    return and_(true(), *(columns[name].in_(sorted(map(_value, values), key=repr)) for name, values in rows.key))


def _value(text: str) -> object:
    kind, _, value = text.partition(":")
    return _KINDS[kind](value)


def _rows_of(name: str, tables: Mapping[str, Table], context: Any) -> tuple[Select[Any], Any]:
    """The query that locks the rows which a statement of one table reads, and its parameters."""
    statement = statement_of(context.compiled)
    assert statement is not None
    table = tables.get(name, statement.table)  # the latter where an application keeps its metadata to itself
    assert table is not None
    keys = list(table.primary_key.columns)
    question = select(*keys).where(*where(context.invoked_statement)).order_by(*keys).with_for_update()
    return question, values_of(question, context)


def _how(context: Any, text: str, schema: str) -> tuple[_How, frozenset[str]]:
    """How a statement can be made to lock what it reads, and the names of the tables."""
    compiled = getattr(context, "compiled", None)
    statement = statement_of(compiled)
    if statement is None or statement.kind is Kind.TEXT:
        return (_How.LEFT_ALONE if _PLAIN.match(text) else _How.NOT_AT_ALL), frozenset()
    tables = frozenset(qualified(name_of(table), schema) for table in statement.tables)
    return read(compiled, _locks_of, otherwise=_How.LEFT_ALONE), tables


def _locks_of(statement: Statement) -> _How:
    if statement.kind not in (Kind.SELECT, Kind.QUERY) or statement.lock is not None:
        return _How.NOT_AT_ALL
    if _is_rows_of_a_table(statement) and not statement.shown_obscure:
        functions = statement.shown_functions
        if functions <= PURE - _MANY_OF_ONE:
            if functions.isdisjoint(AGGREGATES | COLLECTING):
                return _How.AT_ITS_END
            if statement.table is not None and statement.table.primary_key.columns and statement.harmless:
                return _How.BEFORE_IT
    return _How.LEFT_ALONE


def _is_rows_of_a_table(statement: Statement) -> bool:
    """Whether it neither joins, nests, groups nor folds rows: PostgreSQL would refuse a lock, or lock other rows."""
    folded = statement.distinct or statement.grouped or statement.having or statement.suffixed
    return statement.table is not None and not (folded or statement.nested or statement.ctes)
