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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from enum import Enum, auto
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import MetaData, Select, Table, and_, or_, select, true
from sqlalchemy.sql.elements import ColumnClause, Over, TextClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import CTE, SelectBase
from sqlalchemy.sql.visitors import iterate

from lab.model.footprint import Access, Lock, Rows
from lab.model.remedy import Applied, Remedy
from lab.postgres.statements.bulk import is_harmless, values_of
from lab.postgres.statements.footprints import tables_of
from lab.postgres.statements.pieces import PURE, name_of

__all__ = ["Locking", "with_lock"]

_OWN = "lab_locks_rows"
"""Execution option of the statements that are sent here."""
_CLAUSE = " FOR UPDATE"
_PLAIN = re.compile(
    r"\s*(SELECT|WITH|TABLE)\b(?!.*\bFOR\s+(UPDATE|NO\s+KEY|SHARE|KEY\s+SHARE))", re.IGNORECASE | re.DOTALL
)
_AGGREGATES = frozenset(
    ("sum", "count", "max", "min", "avg", "bool_and", "bool_or", "every", "array_agg", "string_agg")
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


_known: WeakKeyDictionary[Any, tuple[_How, frozenset[str]]] = WeakKeyDictionary()


class Locking:
    """The locks of one remedy in one execution."""

    def __init__(self, remedy: Remedy, metadata: MetaData | None) -> None:
        self._remedy = remedy
        self._tables = {name_of(table): table for table in (metadata.tables.values() if metadata is not None else ())}
        self._locked: set[str] = set()
        self._left: set[str] = set()

    def applied(self, retries: dict[str, int]) -> Applied:
        """What was done, beside the attempts that were made again."""
        return Applied(retries, frozenset(self._locked), frozenset(self._left))

    def begin(self, connection: Any, actor: str, context: Any) -> None:
        """At the beginning of a transaction: lock what the actor is to lock first."""
        if context.execution_options.get(_OWN):
            return
        for question in self._first(self._remedy.rows_of(actor)):
            _ask(connection, question, {})

    def _first(self, rows: Iterable[Rows]) -> Iterator[Select[Any]]:
        by_table: dict[str, list[Rows]] = {}
        for each in rows:
            by_table.setdefault(each.table, []).append(each)
        for name in sorted(by_table):
            table = self._tables[name]
            keys = list(table.primary_key.columns)
            wanted = [_criterion(table, each) for each in by_table[name]]
            yield select(*keys).where(or_(*wanted)).order_by(*keys).with_for_update()

    def read(self, connection: Any, statement: str, context: Any) -> str:
        """Before a statement: the text to send instead, which locks what it reads where that is wanted and possible."""
        if not self._remedy.lock_reads or context.execution_options.get(_OWN):
            return statement
        how, tables = _how(context, statement)
        if how is _How.NOT_AT_ALL or not self._wanted(tables, statement, context):
            return statement
        if how is _How.LEFT_ALONE or connection.connection.dbapi_connection.readonly:
            self._left.add(statement)
            return statement
        self._locked.add(statement)
        if how is _How.AT_ITS_END:
            return statement + _CLAUSE
        _ask(connection, *_rows_of(next(iter(tables)), self._tables, context))
        return statement

    def _wanted(self, tables: frozenset[str], statement: str, context: Any) -> bool:
        """Whether a statement reads a table whose rows are to be locked; of a text its words tell."""
        if getattr(context, "compiled", None) is None or not tables:
            words = set(re.findall(r"\w+", statement.lower()))
            tables = frozenset(name for name in self._remedy.lock_reads if name.rpartition(".")[2].lower() in words)
        return not tables.isdisjoint(self._remedy.lock_reads)


def with_lock(told: Callable[[], tuple[Access, ...] | None]) -> Callable[[], tuple[Access, ...] | None]:
    """What tells the footprint of a SELECT with FOR UPDATE at its end, from what tells that of the plain one."""

    def accesses() -> tuple[Access, ...] | None:
        plain = told()
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


def _rows_of(name: str, tables: dict[str, Table], context: Any) -> tuple[Select[Any], Any]:
    """The query that locks the rows which a statement of one table reads, and its parameters."""
    statement = context.invoked_statement
    table = tables.get(name)
    if table is None:  # of an application that keeps its metadata to itself
        table = next(each for each in tables_of(statement) if name_of(each) == name)
        table = table.metadata.tables[table.key]
    keys = list(table.primary_key.columns)
    question = select(*keys).where(*statement._where_criteria).order_by(*keys).with_for_update()  # noqa: SLF001
    return question, values_of(question, context)


def _how(context: Any, text: str) -> tuple[_How, frozenset[str]]:
    """How a statement can be made to lock what it reads, and the names of the tables."""
    compiled = getattr(context, "compiled", None)
    if compiled is None or isinstance(compiled.statement, TextClause):
        return (_How.LEFT_ALONE if _PLAIN.match(text) else _How.NOT_AT_ALL), frozenset()
    found = _known.get(compiled)
    if found is None:
        statement = getattr(compiled.compile_state, "statement", None)
        found = _known[compiled] = _of(compiled.statement if statement is None else statement)
    return found


def _of(statement: Any) -> tuple[_How, frozenset[str]]:
    if not isinstance(statement, SelectBase):
        return _How.NOT_AT_ALL, frozenset()
    tables = frozenset(map(name_of, tables_of(statement)))
    if getattr(statement, "_for_update_arg", None) is not None:
        return _How.NOT_AT_ALL, tables
    froms: Any = statement.get_final_froms() if isinstance(statement, Select) else ()
    if isinstance(statement, Select) and not _is_more_than_rows_of_a_table(statement, froms):
        (table,) = froms
        columns = [each for column in statement.selected_columns for each in iterate(column)]
        functions = {each.name.lower() for each in columns if isinstance(each, FunctionElement)}
        if not any(map(_is_obscure, columns)) and functions <= PURE - _MANY_OF_ONE:
            if functions.isdisjoint(_AGGREGATES):
                return _How.AT_ITS_END, tables
            if table.primary_key.columns and all(map(is_harmless, iterate(statement))):
                return _How.BEFORE_IT, tables
    return _How.LEFT_ALONE, tables


def _is_more_than_rows_of_a_table(statement: Any, froms: Any) -> bool:
    """Whether it joins, nests, groups or folds rows, so that PostgreSQL would refuse a lock or lock other rows."""
    return bool(
        len(froms) != 1
        or not isinstance(froms[0], Table)
        or statement._distinct  # noqa: SLF001 - nothing public tells
        or statement._group_by_clauses  # noqa: SLF001
        or statement._having_criteria  # noqa: SLF001
        or statement._suffixes  # noqa: SLF001
        or any(isinstance(each, (SelectBase, CTE)) and each is not statement for each in iterate(statement))
    )


def _is_obscure(element: Any) -> bool:
    """Whether a column may fold rows without saying so."""
    if isinstance(element, (TextClause, Over)):
        return True
    return isinstance(element, ColumnClause) and element.is_literal and "(" in str(element)
