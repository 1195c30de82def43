"""What a statement reads, from the construct that SQLAlchemy compiled it from: for histories of row versions.

A statement is looked at once and its reading kept with the compiled object. Understood are statements whose condition
is about one table with a primary key. Of others (text, joins, subqueries) only the rows are known that the answer holds
with their keys, and that something is missing is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Table
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, TextClause
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import Select, SelectBase

from lab.postgres.statements.pieces import PURE, conjuncts, name_of

__all__ = ["Reading", "Role", "reading_of"]

_WORD = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)


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
_readings: WeakKeyDictionary[Any, Reading] = WeakKeyDictionary()


def reading_of(context: Any, text: str, keys: Mapping[str, Collection[str]]) -> Reading:
    """The reading of a statement that was executed. `keys` maps the tables to the columns of their primary keys."""
    compiled = getattr(context, "compiled", None)
    if compiled is None:
        return _of_text(text, keys)
    try:
        known = _readings.get(compiled)
        if known is None:
            known = _readings[compiled] = _of_compiled(compiled, text, keys)
    except TypeError:  # a construct without weak references
        known = _of_compiled(compiled, text, keys)
    return known


def _of_text(text: str, keys: Mapping[str, Collection[str]]) -> Reading:
    words = set(_WORD.findall(text.lower()))
    first = next(iter(_WORD.findall(text.lower())), "")
    if first in ("set", "lock", "show", "savepoint", "release", "rollback", "reset"):
        return _NOTHING
    known = any(name.rpartition(".")[2].lower() in words for name in keys)
    return replace(_UNKNOWN if known else _NOTHING, writes=first in ("insert", "update", "delete", "merge", "with"))


def _of_compiled(compiled: Any, text: str, keys: Mapping[str, Collection[str]]) -> Reading:
    statement = getattr(compiled.compile_state, "statement", None)
    if statement is None:
        statement = compiled.statement
    if isinstance(statement, Select):
        return _select(statement, compiled, keys)
    if isinstance(statement, Insert):
        plain = statement._post_values_clause is None and statement.select is None  # noqa: SLF001 - nothing public
        return replace(_NOTHING if plain else _UNKNOWN, writes=True)
    if isinstance(statement, (Update, Delete)):
        return _change(statement, compiled, keys)
    return _of_text(text, keys)


def _select(statement: Any, compiled: Any, keys: Mapping[str, Collection[str]]) -> Reading:
    froms = statement.get_final_froms()
    roles = tuple(_roles(compiled))
    if not froms:
        return _NOTHING
    if len(froms) > 1 or not isinstance(froms[0], Table) or not _is_plain(statement):
        found = tuple(role for role in roles if _has_key(role, keys))
        return Reading(roles=found, understood=False)
    asked = statement._for_update_arg  # noqa: SLF001 - nothing public tells
    about = _condition(statement._where_criteria, froms[0], compiled, keys)  # noqa: SLF001
    if about is None:
        return _UNKNOWN
    with_keys = bool(roles) and _has_key(roles[0], keys)
    others = [entry for entry in compiled._result_columns if _column(entry) is None]  # noqa: SLF001
    cut = statement._limit_clause is not None or statement._offset_clause is not None  # noqa: SLF001
    skipped = asked is not None and (asked.skip_locked or asked.nowait)
    return replace(
        about,
        roles=roles,
        computes=any(map(_tells_of_values, others)) or (bool(roles) and not with_keys and not about.key),
        complete=with_keys and not cut and not skipped,
        locks=asked is not None,
        # Which rows were looked at is not known where some were skipped, or many only counted in groups.
        criteria=() if skipped else about.criteria,
        table="" if skipped else about.table,
    )


def _change(statement: Any, compiled: Any, keys: Mapping[str, Collection[str]]) -> Reading:
    table = statement.table
    if not isinstance(table, Table) or not _is_plain(statement):
        return replace(_UNKNOWN, writes=True)
    about = _condition(statement._where_criteria, table, compiled, keys)  # noqa: SLF001 - nothing public tells
    if about is None:
        return replace(_UNKNOWN, writes=True)
    values = (getattr(statement, "_values", None) or {}).values()
    computes = any(isinstance(part, Column) for value in values for part in visitors.iterate(value))
    return replace(about, computes=computes, locks=True, writes=True, complete=False)


def _condition(
    criteria: tuple[Any, ...], table: Table, compiled: Any, keys: Mapping[str, Collection[str]]
) -> Reading | None:
    """What the WHERE clause says of a table, None for a table without a primary key."""
    name = name_of(table)
    if not keys.get(name):
        return None
    key = dict(_equalities(criteria, table, compiled))
    parts = list(conjuncts(criteria))
    if len(key) == len(parts) and set(key) == set(keys[name]):
        return Reading(name, key=tuple((column, key[column]) for column in keys[name]), construct=table)
    return Reading(name, criteria=criteria, construct=table)


def _equalities(criteria: tuple[Any, ...], table: Table, compiled: Any) -> Iterator[tuple[str, str]]:
    for each in conjuncts(criteria):
        if isinstance(each, BinaryExpression) and each.operator is operators.eq:
            column, value = each.left, each.right
            if isinstance(value, Column):
                column, value = value, column
            if isinstance(column, Column) and isinstance(value, BindParameter) and column.table.name == table.name:
                name = compiled.bind_names.get(value)
                if name is not None:
                    yield column.name, name


def _is_plain(statement: Any) -> bool:
    """Whether it reads its own rows only, and each version of a row decides alone whether the row matches."""
    if getattr(statement, "_having_criteria", ()) or getattr(statement, "_setup_joins", ()):
        return False
    for element in visitors.iterate(statement):
        if element is not statement and isinstance(element, (SelectBase, TextClause)):
            return False
        if isinstance(element, FunctionElement) and element.name.lower() not in PURE:
            return False
    return True


def _roles(compiled: Any) -> Iterator[Role]:
    found: dict[Any, list[tuple[int, str]]] = {}
    names: dict[Any, str] = {}
    for place, entry in enumerate(compiled._result_columns):  # noqa: SLF001 - nothing public tells
        column = _column(entry)
        if column is not None:
            table = getattr(column.table, "element", column.table)  # an alias stands for its table
            if isinstance(table, Table):
                names[column.table] = name_of(table)
                found.setdefault(column.table, []).append((place, column.name))
    for table, columns in found.items():
        yield Role(names[table], tuple(columns))


def _column(entry: Any) -> Any:
    """The column of a table that a column of the result is, None if it is computed."""
    return next((each for each in entry.objects if isinstance(each, Column) and each.table is not None), None)


def _tells_of_values(entry: Any) -> bool:
    """Whether a computed column of a result depends on what stands in rows, and not only on how many there are."""
    wholes = [each for each in entry.objects if hasattr(each, "get_children")]  # others are names, or a label's own
    elements = [part for each in wholes for part in visitors.iterate(each)]
    counts = any(isinstance(part, FunctionElement) and part.name.lower() == "count" for part in elements)
    return not counts and any(isinstance(part, Column) for part in elements)


def _has_key(role: Role, keys: Mapping[str, Collection[str]]) -> bool:
    key = keys.get(role.table)
    return bool(key) and {name for _, name in role.columns} >= set(key or ())
