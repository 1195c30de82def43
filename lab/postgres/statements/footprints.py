"""What a statement will touch, read from the construct that SQLAlchemy compiled it from, bound values included.

The shape is the same for every execution of a compiled form, and each execution only fills in its values. What is not
understood (text, unknown functions, views, light tables, tables with triggers, a level of autocommit) gets no
footprint, which counts as touching everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Table

from lab.errors import DEFECTS
from lab.model.footprint import Access, Lock
from lab.postgres.statements.construct import read
from lab.postgres.statements.functions import PURE
from lab.postgres.statements.pieces import (
    MANY,
    Piece,
    bound_columns,
    checks_more_than_values,
    children,
    finds_one,
    key_of,
    name_of,
    parent_locks,
    parents,
    qualified,
    unique_keys,
    unique_name,
)
from lab.postgres.statements.shapes import ANY, Shape, agree, declared
from lab.postgres.statements.statement import Kind, RowLock, Statement

__all__ = ["footprint_of"]


def _unknown() -> None:
    return None


def footprint_of(
    context: Any, shapes: Mapping[str, Shape], schema: str = ""
) -> Callable[[], tuple[Access, ...] | None]:
    """A function that computes later what a statement will touch; it returns None if that is not understood.

    `shapes` are the tables of the database as its catalog has them; a name without a schema is of the `schema`, "" for
    the lab's first.
    """
    compiled = getattr(context, "compiled", None)
    if compiled is None:
        return _unknown
    rows = getattr(context, "compiled_parameters", None)  # DDL has none
    return partial(_understood, compiled, rows, shapes, schema)


def _understood(compiled: Any, rows: Any, shapes: Mapping[str, Shape], schema: str) -> tuple[Access, ...] | None:
    """What is touched, or None: where reading it fails, the statement is one that is not understood."""
    try:
        return _accesses(compiled, rows, shapes, schema)
    except DEFECTS:
        return None


def _accesses(compiled: Any, rows: Any, shapes: Mapping[str, Shape], schema: str) -> tuple[Access, ...] | None:
    understood = read(compiled, _shape_in, schema, otherwise=None)
    if understood is None or not agree(understood.claims, shapes, changes=understood.changes):
        return None
    pieces = understood.pieces
    if not all(column in shapes[piece.relation].apart for piece in pieces for column, _ in piece.key):
        return None
    if not rows or len(rows) > MANY:
        rows = [{}]
    found = tuple(dict.fromkeys(piece.filled(row) for row in rows for piece in pieces))
    if (changed := understood.changed) is None:
        return found
    table, columns = changed
    if not ({*columns, ANY} & shapes[table].indexed):
        return found
    return tuple(replace(each, enters=True) if each.writes and each.rows.table == table else each for each in found)


# ------------------------------------------------------------------ the shape of a statement


@dataclass(frozen=True, slots=True)
class _Understood:
    """A statement whose construct shows what it does, if the tables are as `claims` says."""

    pieces: tuple[Piece, ...]
    claims: tuple[tuple[str, Shape], ...]
    changes: bool
    changed: tuple[str, frozenset[str]] | None = None
    """By an UPDATE: the columns of which table."""


def _shape_in(statement: Statement, schema: str) -> _Understood | None:
    pieces = _shape(statement)
    if pieces is None:
        return None
    touched = {piece.relation for piece in pieces}
    family = {*statement.tables, *(table for each in statement.tables for table in each.metadata.tables.values())}
    claims = tuple(declared(table, schema) for table in family if name_of(table) in touched)
    if schema:
        pieces = tuple(replace(piece, table=qualified(piece.table, schema)) for piece in pieces)
    changed = None
    if statement.kind is Kind.UPDATE and (table := statement.table) is not None:
        changed = (
            qualified(name_of(table), schema),
            frozenset(column.name for column in _changed_columns(statement, table)),
        )
    return _Understood(pieces, claims, statement.kind is not Kind.SELECT, changed)


def _shape(statement: Statement) -> tuple[Piece, ...] | None:
    """The accesses of a statement, their values left open; None if it is not understood."""
    if not _is_plain(statement):
        return None
    if statement.kind is Kind.SELECT:
        pieces = None if statement.renamed else tuple(_select(statement))
    elif statement.table is None:
        pieces = None
    else:
        change = {Kind.INSERT: _insert, Kind.UPDATE: _update, Kind.DELETE: _delete}[statement.kind]
        pieces = tuple(change(statement, statement.table))
    if not pieces:
        return None
    understood = {piece.relation for piece in pieces}
    known = {each for table in statement.tables for each in table.metadata.tables.values()}
    hidden = {name_of(table) for table in known if table.name.lower() in statement.words}
    return None if hidden - understood else pieces  # a loader option, for example, joins what the construct omits


def _is_plain(statement: Statement) -> bool:
    """Whether all that it does is what its construct shows."""
    if statement.kind not in (Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE):
        return False
    if statement.kind is not Kind.SELECT:
        family = {other for table in statement.tables for other in table.metadata.tables.values()}  # for cascades
        if any(checks_more_than_values(each) for table in family for each in (*table.constraints, *table.indexes)):
            return False
    return statement.functions <= PURE and not statement.texts and not statement.opaque


def _select(statement: Statement) -> Iterator[Piece]:
    asked = statement.lock
    by_key = (asked is None or asked.waits) and statement.selects <= 1
    outer = {name_of(table) for table in statement.joined}
    for table in statement.tables:
        inside = name_of(table) in outer
        key = key_of(statement.bindings, table) if inside and by_key else ()
        yield Piece(
            name_of(table),
            _strength(asked) if inside else Lock.NONE,
            reads=True,
            writes=False,
            key=key,
            scans=_order_shows(statement),
            single=inside and finds_one(table, key),
        )


def _strength(asked: RowLock | None) -> Lock:
    if asked is None:
        return Lock.NONE
    if asked.spares_key:
        return Lock.KEY_SHARE if asked.shared else Lock.NO_KEY_UPDATE
    return Lock.SHARE if asked.shared else Lock.UPDATE


def _order_shows(statement: Statement) -> bool:
    """Whether the order in which rows lie may show in the result, or in the order of the locks."""
    if statement.folds:
        return False
    tables = statement.tables
    return len(tables) != 1 or not finds_one(tables[0], ((name, name) for name in statement.sorted_by))


def _insert(statement: Statement, table: Table) -> Iterator[Piece]:
    if not statement.simple:
        yield Piece(name_of(table), Lock.UPDATE, reads=True, writes=True, scans=True)
        for unique in unique_keys(table):
            yield Piece(unique_name(table, unique), Lock.UPDATE, reads=True, writes=True)
        for parent, _ in parents(table):
            yield Piece(name_of(parent), Lock.KEY_SHARE, reads=False, writes=False)
        yield from _others(statement, table)
        return
    bound = bound_columns(table, statement.given)
    # A row that is new meets only those who would see it, so its lock matters to nobody until the row is published.
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


def _changed_columns(statement: Statement, table: Table) -> set[Any]:
    return {column for column in table.columns if column.key in statement.given or column.onupdate is not None}


def _update(statement: Statement, table: Table) -> Iterator[Piece]:
    columns = _changed_columns(statement, table)
    key = key_of(statement.bindings, table, without=columns)
    keys = [unique for unique in unique_keys(table) if columns.intersection(unique)]
    yield _changed(table, Lock.UPDATE if keys else Lock.NO_KEY_UPDATE, key)
    for unique in keys:
        yield Piece(unique_name(table, unique), Lock.UPDATE, reads=False, writes=True)
    yield from _kept_keys(table, key, changed=keys)
    if keys:
        yield from children(table, deletes=False)
    for parent, pairs in parents(table):
        if columns.intersection(column for column, _ in pairs):
            yield Piece(name_of(parent), Lock.KEY_SHARE, reads=False, writes=False)
    yield from _others(statement, table)


def _delete(statement: Statement, table: Table) -> Iterator[Piece]:
    key = key_of(statement.bindings, table)
    yield _changed(table, Lock.UPDATE, key)
    yield from _kept_keys(table, key)
    yield from children(table, deletes=True)
    yield from _others(statement, table)


def _kept_keys(
    table: Table, key: tuple[tuple[str, str], ...], changed: Collection[tuple[Any, ...]] = ()
) -> Iterator[Piece]:
    """The unique keys that a changed or deleted row has kept until now: a new row of such a key waits for the change.

    Two changes do not meet there. Of a key that is known the row itself stands for it, as all rows do.
    """
    known = {column for column, _ in key}
    for unique in unique_keys(table) if key else ():
        if unique not in changed and not known.issuperset(column.name for column in unique):
            yield Piece(unique_name(table, unique), Lock.SHARE, reads=False, writes=True)


def _changed(table: Table, lock: Lock, key: tuple[tuple[str, str], ...]) -> Piece:
    return Piece(name_of(table), lock, reads=True, writes=True, key=key, scans=True, single=finds_one(table, key))


def _others(statement: Statement, table: Table) -> Iterator[Piece]:
    """Tables that a writing statement reads besides its own, and its own where it looks at other rows of it."""
    for other in statement.tables:
        if name_of(other) != name_of(table):
            yield Piece(name_of(other), Lock.NONE, reads=True, writes=False, scans=True)
    if statement.selects:
        yield Piece(name_of(table), Lock.NONE, reads=True, writes=False, scans=True)
