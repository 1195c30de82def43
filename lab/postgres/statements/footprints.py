"""What a statement will touch, read from the construct that SQLAlchemy compiled it from, bound values included.

A statement is looked at once; the shape is kept with the compiled object, which SQLAlchemy's cache keeps for the next
time, and each execution only fills in its values. What is not understood (text, unknown functions, views, tables with
triggers, a level of autocommit) gets no footprint, which counts as touching everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Table
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import Delete, Insert, Update, UpdateBase
from sqlalchemy.sql.elements import Label, TextClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import Select

from lab.model.footprint import Access, Deferred, Lock
from lab.postgres.statements.pieces import (
    MANY,
    PURE,
    Piece,
    bound_columns,
    checks_more_than_values,
    children,
    finds_one,
    key_of,
    name_of,
    parent_locks,
    parents,
    unique_keys,
    unique_name,
)

__all__ = ["TransactionFootprint", "tables_of", "told_of"]

_AGGREGATES = frozenset({"sum", "count", "max", "min", "avg", "bool_and", "bool_or", "every"})
"""Those that make one value of many rows, whatever the order of these."""
_WORD = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)

_Shape = tuple["Piece", ...]
_shapes: WeakKeyDictionary[Any, tuple[frozenset[str], _Shape | None]] = WeakKeyDictionary()


class _NotUnderstoodError(Exception):
    """The statement does something of which a footprint cannot be told."""


class TransactionFootprint:
    """What the transaction of one connection has touched so far, as a chain from its last statement back."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: Deferred | None = None

    def begins(self) -> None:
        """Forget the transaction before."""
        self._last = None

    def statement(self, accesses: Callable[[], tuple[Access, ...] | None], level: str) -> Deferred:
        """The footprint of its next statement."""
        self._last = Deferred(accesses, level, self._last)
        return self._last

    def end(self, level: str) -> Deferred:
        """The footprint of a COMMIT or ROLLBACK now."""
        return Deferred(_nothing, level, self._last)


def _nothing() -> tuple[Access, ...]:
    return ()


def _unknown() -> None:
    return None


def told_of(
    context: Any, tables: Collection[str], triggered: Collection[str]
) -> Callable[[], tuple[Access, ...] | None]:
    """What tells later what a statement about to be executed touches, or None if that cannot be told.

    `tables` are the ordinary tables of the database, `triggered` those with triggers of the user's own.
    """
    compiled = getattr(context, "compiled", None)
    if compiled is None:
        return _unknown
    return partial(_accesses, compiled, context.compiled_parameters, tables, triggered)


def _accesses(
    compiled: Any, rows: Any, tables: Collection[str], triggered: Collection[str]
) -> tuple[Access, ...] | None:
    try:
        known = _shapes.get(compiled)
        if known is None:
            known = _shapes[compiled] = _shape(compiled)
    except TypeError:  # a construct without weak references
        known = _shape(compiled)
    names, pieces = known
    if pieces is None or not names <= set(tables) or not names.isdisjoint(triggered):
        return None
    if not rows or len(rows) > MANY:
        rows = [{}]
    return tuple(dict.fromkeys(piece.filled(row) for row in rows for piece in pieces))


# ------------------------------------------------------------------ the shape of a statement


def _shape(compiled: Any) -> tuple[frozenset[str], _Shape | None]:
    statement = getattr(compiled.compile_state, "statement", None)
    if statement is None:
        statement = compiled.statement
    try:
        pieces = tuple(_pieces(statement, compiled))
        named = {word.lower() for word in _WORD.findall(compiled.string)}
        understood = {piece.table.partition("!")[0] for piece in pieces}
        metadata = {table.metadata for table in tables_of(statement)}
    except _NotUnderstoodError:
        return frozenset(), None
    hidden = {name_of(table) for each in metadata for table in each.tables.values() if table.name.lower() in named}
    if not understood or hidden - understood:  # a loader option, for example, joins what the construct does not name
        return frozenset(), None
    return frozenset(understood), pieces


def _pieces(statement: Any, compiled: Any) -> Iterator[Piece]:
    _insist_on_plain(statement)
    if isinstance(statement, Insert):
        yield from _insert(statement, compiled)
    elif isinstance(statement, Update):
        yield from _update(statement, compiled)
    elif isinstance(statement, Delete) and isinstance(statement.table, Table):
        key = key_of(statement._where_criteria, statement.table, compiled)  # noqa: SLF001 - nothing public tells
        yield _changed(statement.table, Lock.UPDATE, key)
        yield from children(statement.table, deletes=True)
        yield from _others(statement, statement.table)
    elif isinstance(statement, Select):
        yield from _select(statement, compiled)
    else:
        raise _NotUnderstoodError


def _select(statement: Any, compiled: Any) -> Iterator[Piece]:
    lock = Lock.NONE
    asked = statement._for_update_arg  # noqa: SLF001 - nothing public tells
    if asked is not None:
        lock = Lock.UPDATE
        if asked.key_share:
            lock = Lock.KEY_SHARE if asked.read else Lock.NO_KEY_UPDATE
        elif asked.read:
            lock = Lock.SHARE
    by_key = asked is None or not (asked.nowait or asked.skip_locked)
    by_key = by_key and sum(isinstance(element, Select) for element in visitors.iterate(statement)) <= 1
    outer = {name_of(table) for table in _tables_of_froms(statement)}
    for table in tables_of(statement):
        inside = name_of(table) in outer
        key = key_of(statement._where_criteria, table, compiled) if inside and by_key else ()  # noqa: SLF001
        yield Piece(
            name_of(table),
            lock if inside else Lock.NONE,
            reads=True,
            writes=False,
            key=key,
            scans=_order_shows(statement),
            single=inside and finds_one(table, key),
        )


def _order_shows(statement: Any) -> bool:
    """Whether the order in which rows lie may show in the result, or in the order of the locks."""
    if all(map(_is_aggregate, statement.selected_columns)) and not statement._group_by_clauses:  # noqa: SLF001
        return False
    sorted_by = {getattr(each, "element", each) for each in statement._order_by_clauses}  # noqa: SLF001
    names = {each.name for each in sorted_by if isinstance(each, Column)}
    tables = tables_of(statement)
    return len(tables) != 1 or not finds_one(tables[0], ((name, name) for name in names))


def _is_aggregate(column: Any) -> bool:
    column = getattr(column, "element", column) if isinstance(column, Label) else column
    if not isinstance(column, FunctionElement):
        return False
    if column.name.lower() == "coalesce":
        return any(map(_is_aggregate, column.clauses))
    return column.name.lower() in _AGGREGATES


def _insert(statement: Any, compiled: Any) -> Iterator[Piece]:
    table = statement.table
    if statement._post_values_clause is not None or statement.select is not None:  # noqa: SLF001
        yield Piece(name_of(table), Lock.UPDATE, reads=True, writes=True, scans=True)
        for unique in unique_keys(table):
            yield Piece(unique_name(table, unique), Lock.UPDATE, reads=True, writes=True)
        for parent, _ in parents(table):
            yield Piece(name_of(parent), Lock.KEY_SHARE, reads=False, writes=False)
        yield from _others(statement, table)
        return
    given = set() if statement._multi_values else set(compiled.column_keys or compiled.binds)  # noqa: SLF001
    bound = bound_columns(table, given)
    # A row that is new meets only those who would see it, so its lock is nobody's until it is published.
    yield Piece(name_of(table), Lock.UPDATE, reads=False, writes=True, key=tuple(sorted(bound.items())))
    for unique in unique_keys(table):
        key = tuple((column.name, column.key) for column in unique if column.name in bound)
        complete = len(key) == len(unique)
        yield Piece(
            unique_name(table, unique),
            Lock.UPDATE,
            reads=False,
            writes=True,
            key=key if complete else (),
            whole=True,
        )
    yield from parent_locks(table, bound)
    yield from _others(statement, table)


def _update(statement: Any, compiled: Any) -> Iterator[Piece]:
    table = statement.table
    changed = {str(getattr(column, "key", column)) for column in (statement._values or {})}  # noqa: SLF001
    changed |= set(compiled.column_keys or ())
    columns = {column for column in table.columns if column.key in changed or column.onupdate is not None}
    key = key_of(statement._where_criteria, table, compiled, without=columns)  # noqa: SLF001
    keys = [unique for unique in unique_keys(table) if columns.intersection(unique)]
    lock = Lock.UPDATE if keys else Lock.NO_KEY_UPDATE
    yield _changed(table, lock, key)
    for unique in keys:
        yield Piece(unique_name(table, unique), Lock.UPDATE, reads=False, writes=True)
    if keys:
        yield from children(table, deletes=False)
    for parent, pairs in parents(table):
        if columns.intersection(column for column, _ in pairs):
            yield Piece(name_of(parent), Lock.KEY_SHARE, reads=False, writes=False)
    yield from _others(statement, table)


def _changed(table: Table, lock: Lock, key: tuple[tuple[str, str], ...]) -> Piece:
    return Piece(name_of(table), lock, reads=True, writes=True, key=key, scans=True, single=finds_one(table, key))


def _insist_on_plain(statement: Any) -> None:
    if isinstance(statement, UpdateBase):
        family = {other for table in tables_of(statement) for other in table.metadata.tables.values()}  # for cascades
        if any(checks_more_than_values(each) for table in family for each in (*table.constraints, *table.indexes)):
            raise _NotUnderstoodError
    for element in visitors.iterate(statement):
        unknown = isinstance(element, FunctionElement) and element.name.lower() not in PURE
        if unknown or isinstance(element, TextClause):
            raise _NotUnderstoodError
        if getattr(element, "__visit_name__", "") in ("cte", "textual_select", "table_valued_alias", "sequence"):
            raise _NotUnderstoodError


def tables_of(statement: Any) -> list[Table]:
    """The tables that a construct names, wherever in it."""
    found = dict.fromkeys(element for element in visitors.iterate(statement) if isinstance(element, Table))
    for element in visitors.iterate(statement):
        table = getattr(element, "table", None)
        table = getattr(table, "element", table)  # an alias stands for its table
        if isinstance(table, Table):
            found[table] = None
    return list(found)


def _tables_of_froms(statement: Any) -> Iterator[Table]:
    ahead = list(statement.get_final_froms())
    while ahead:
        each = ahead.pop()
        if isinstance(each, Table):
            yield each
        else:
            ahead += [side for side in (getattr(each, "left", None), getattr(each, "right", None)) if side is not None]
            element = getattr(each, "element", None)
            if isinstance(element, Table):
                raise _NotUnderstoodError  # an alias: two roles of one table, whose keys must not be mixed up


def _others(statement: Any, table: Table) -> Iterator[Piece]:
    """Tables that a writing statement reads besides its own, and its own where it looks at other rows of it."""
    for other in tables_of(statement):
        if name_of(other) != name_of(table):
            yield Piece(name_of(other), Lock.NONE, reads=True, writes=False, scans=True)
    if any(isinstance(element, Select) for element in visitors.iterate(statement)):
        yield Piece(name_of(table), Lock.NONE, reads=True, writes=False, scans=True)
