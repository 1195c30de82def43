"""What a statement reads, from the construct that SQLAlchemy compiled it from: for histories of row versions.

A statement is understood if its condition is about one table with a primary key. Of others (text, joins, subqueries)
only the rows are known that the answer holds with their keys, and the report says that something is missing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Table

from lab.postgres.statements.beyond import NOTHING_BEYOND, Beyond
from lab.postgres.statements.construct import read, statement_of
from lab.postgres.statements.functions import PURE
from lab.postgres.statements.pieces import name_of, qualified
from lab.postgres.statements.statement import Kind, Statement

__all__ = ["Reading", "Role", "reading_of"]

_WORD = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_Keys = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Role:
    """A table in a result: which of its columns stand where in a row."""

    table: str
    columns: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement reads.

    `table` is the one that its condition is about, "" for none. `key` maps the columns of that table's primary key to
    names of parameters when the condition is nothing but this key; otherwise `criteria` are the condition.
    """

    table: str = ""
    roles: tuple[Role, ...] = ()
    key: tuple[tuple[str, str], ...] = ()
    criteria: tuple[Any, ...] = ()
    names: Mapping[Any, str] = field(default_factory=dict, repr=False, compare=False)
    """The names of the parameters in `criteria`."""
    construct: Any = None
    """The table as SQLAlchemy knows it."""
    computes: bool = False
    """The answer, or what is written, comes from the values of rows that the answer does not hold with their keys."""
    complete: bool = True
    """Every row that matches is in the answer: no LIMIT, nothing skipped."""
    locks: bool = False
    """At READ COMMITTED a row is read in its latest version, after the wait for its lock."""
    writes: bool = False
    understood: bool = True


_NOTHING = Reading()
_UNKNOWN = Reading(understood=False)


def reading_of(
    context: Any, text: str, keys: Mapping[str, Collection[str]], schema: str = "", beyond: Beyond = NOTHING_BEYOND
) -> Reading:
    """The reading of a statement that was executed. `keys` maps the tables to the columns of their primary keys.

    A table whose name has no schema is one of `schema`, "" for the lab's first.
    """
    found = _reading_in(context, text, keys, schema)
    if found.understood and beyond.is_met_in(text):
        return replace(found, understood=False)
    return found


def _reading_in(context: Any, text: str, keys: Mapping[str, Collection[str]], schema: str) -> Reading:
    if not schema:
        return _reading_of(context, text, keys)
    beginning = f"{schema}."
    seen = {name.removeprefix(beginning): columns for name, columns in keys.items() if name.startswith(beginning)}
    found = _reading_of(context, text, {name: columns for name, columns in keys.items() if "." in name} | seen)
    roles = tuple(replace(each, table=qualified(each.table, schema)) for each in found.roles)
    return replace(found, table=found.table and qualified(found.table, schema), roles=roles)


def _reading_of(context: Any, text: str, keys: Mapping[str, Collection[str]]) -> Reading:
    compiled = getattr(context, "compiled", None)
    statement = statement_of(compiled)
    if statement is None or statement.kind in (Kind.QUERY, Kind.TEXT, Kind.OTHER):
        return _of_text(text, keys)
    known = tuple((name, tuple(keys[name])) for table in statement.tables if (name := name_of(table)) in keys)
    unknown = replace(_UNKNOWN, writes=statement.kind is not Kind.SELECT)
    return read(compiled, _reading, known, otherwise=unknown)


def _of_text(text: str, keys: Mapping[str, Collection[str]]) -> Reading:
    words = set(_WORD.findall(text.lower()))
    first = next(iter(_WORD.findall(text.lower())), "")
    if first in ("set", "lock", "show", "savepoint", "release", "rollback", "reset"):
        return _NOTHING
    known = any(name.rpartition(".")[2].lower() in words for name in keys)
    return replace(_UNKNOWN if known else _NOTHING, writes=first in ("insert", "update", "delete", "merge", "with"))


def _reading(statement: Statement, keys: _Keys) -> Reading:
    if statement.kind is Kind.SELECT:
        return _select(statement, dict(keys))
    if statement.kind is Kind.INSERT:
        return replace(_NOTHING if statement.simple else _UNKNOWN, writes=True)
    return _change(statement, dict(keys))


def _select(statement: Statement, keys: Mapping[str, Collection[str]]) -> Reading:
    if not statement.sources:
        return _UNKNOWN if statement.nested else _NOTHING
    roles = tuple(_roles(statement))
    if statement.table is None or not _is_plain(statement):
        found = tuple(role for role in roles if _has_key(role, keys))
        return Reading(roles=found, understood=False)
    about = _condition(statement, statement.table, keys)
    if about is None:
        return _UNKNOWN
    with_keys = bool(roles) and _has_key(roles[0], keys)
    computes = any(each.of_values for each in statement.shown)
    cut = statement.limited or statement.offset
    skipped = statement.lock is not None and not statement.lock.waits
    return replace(
        about,
        roles=roles,
        computes=computes or (bool(roles) and not with_keys and not about.key),
        complete=with_keys and not cut and not skipped,
        locks=statement.lock is not None,
        # Which rows were looked at is not known where some were skipped, or many only counted in groups.
        criteria=() if skipped else about.criteria,
        table="" if skipped else about.table,
    )


def _change(statement: Statement, keys: Mapping[str, Collection[str]]) -> Reading:
    if statement.table is None or not _is_plain(statement):
        return replace(_UNKNOWN, writes=True)
    about = _condition(statement, statement.table, keys)
    if about is None:
        return replace(_UNKNOWN, writes=True)
    return replace(about, computes=statement.computes, locks=True, writes=True, complete=False)


def _condition(statement: Statement, table: Table, keys: Mapping[str, Collection[str]]) -> Reading | None:
    """The condition that the WHERE clause states for a table, None for a table without a primary key."""
    name = name_of(table)
    if not keys.get(name):
        return None
    key = {
        each.column.name: each.parameter
        for each in statement.bindings
        if not each.several and each.parameter is not None and each.table == table.name
    }
    if len(key) == statement.parts and set(key) == set(keys[name]):
        return Reading(name, key=tuple((column, key[column]) for column in keys[name]), construct=table)
    return Reading(name, criteria=statement.criteria, names=statement.names, construct=table)


def _is_plain(statement: Statement) -> bool:
    """Whether it reads its own rows only, and each version of a row decides alone whether the row matches."""
    strange = statement.having or statement.joins or statement.nested or statement.texts
    return not strange and statement.functions <= PURE


def _roles(statement: Statement) -> Iterator[Role]:
    found: dict[object, list[tuple[int, str]]] = {}
    names: dict[object, str] = {}
    for place, each in enumerate(statement.shown):
        if each.table is not None:
            names[each.role] = name_of(each.table)
            found.setdefault(each.role, []).append((place, each.name))
    for role, columns in found.items():
        yield Role(names[role], tuple(columns))


def _has_key(role: Role, keys: Mapping[str, Collection[str]]) -> bool:
    key = keys.get(role.table)
    return bool(key) and {name for _, name in role.columns} >= set(key or ())
