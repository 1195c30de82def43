"""Reads SQLAlchemy's constructs: the only file that touches what SQLAlchemy keeps private in them.

No public way leads to FOR UPDATE, LIMIT, ON CONFLICT, the values of an UPDATE or the columns of a result. A construct
is read once, and so are the results of readers (`remembered`).

Any statement that SQLAlchemy can send may come: light tables, functions alone, DDL, constructs of an application's own.
A construct that is not foreseen here counts as not understood, for every reader, and is never an error of the actor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import Column, Select, Table
from sqlalchemy.sql import operators
from sqlalchemy.sql.dml import Delete, Insert, Update, UpdateBase
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ColumnClause,
    Grouping,
    Label,
    Over,
    TextClause,
)
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import CTE, SelectBase
from sqlalchemy.sql.visitors import iterate

from lab.postgres.statements.functions import AGGREGATES, PURE
from lab.postgres.statements.remembered import remembered
from lab.postgres.statements.statement import NOT_UNDERSTOOD, Binding, Kind, RowLock, Shown, Statement

__all__ = ["bindings_of", "read", "statement_of", "unlocked", "values_of", "where"]

_WORD = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE)
_NAME = re.compile(r"""[\w.,*"' :]*""")
_OPAQUE = frozenset({"cte", "textual_select", "table_valued_alias", "sequence"})
"""Elements, by SQLAlchemy's names for them, that may hold or do what the construct around them does not show."""
Made = TypeVar("Made")


def statement_of(compiled: Any) -> Statement | None:
    """The statement of this compiled form; None for None, which a statement of the driver's own has."""
    if compiled is None:
        return None
    return remembered(compiled, statement_of, lambda: _statement(compiled), NOT_UNDERSTOOD)


def read(compiled: Any, reader: Callable[..., Made], *facts: Hashable, otherwise: Made) -> Made:
    """What `reader(statement, *facts)` returns, computed once for equal compiled forms.

    `otherwise` is for what has no compiled form, and for a statement at which the reader fails.
    """
    statement = statement_of(compiled)
    if statement is None:
        return otherwise
    return remembered(compiled, (reader, *facts), lambda: reader(statement, *facts), otherwise)


# ------------------------------------------------------------------ parts that other modules send again


def where(statement: Any) -> tuple[Any, ...]:
    """The WHERE clause of a SELECT, UPDATE or DELETE, with the values of this statement; empty if there is none."""
    clause = statement.whereclause
    return () if clause is None else (clause,)


def values_of(query: Any, context: Any) -> dict[str, Any]:
    """The values of the parameters that a part of a statement names itself; all others carry theirs."""
    given = context.compiled_parameters[0] if context.compiled_parameters else {}
    named = {each.key for each in iterate(query) if isinstance(each, BindParameter) and not each.unique}
    return {name: value for name, value in given.items() if name in named}


def unlocked(statement: Select[Any]) -> Select[Any]:
    """The same SELECT without its FOR UPDATE, which SQLAlchemy has no public way to take off."""
    copy: Any = statement._generate()  # noqa: SLF001
    copy._for_update_arg = None  # noqa: SLF001
    return copy  # type: ignore[no-any-return]


# ------------------------------------------------------------------ reading


def _statement(compiled: Any) -> Statement:
    construct = getattr(compiled.compile_state, "statement", None)  # what the ORM has made of the actor's own
    if construct is None:
        construct = compiled.statement
    if isinstance(construct, TextClause):
        return Statement(kind=Kind.TEXT, texts=True)
    elements = list(iterate(construct))
    said = _inside(construct, elements)
    said["words"] = frozenset(word.lower() for word in _WORD.findall(compiled.string))
    if isinstance(construct, Select):
        said |= _select(construct, compiled, elements)
    elif isinstance(construct, SelectBase):
        said |= {"kind": Kind.QUERY, "lock": _lock(construct)}
    elif isinstance(construct, Insert):
        said |= _insert(construct, compiled)
    elif isinstance(construct, (Update, Delete)):
        said |= _change(construct, compiled)
    return Statement(**said)


def _inside(construct: Any, elements: list[Any]) -> dict[str, Any]:
    """What can be said of any statement from the elements that it is made of."""
    found = dict.fromkeys(element for element in elements if isinstance(element, Table))
    for element in elements:
        table = getattr(element, "table", None)
        table = getattr(table, "element", table)  # an alias stands for its table
        if isinstance(table, Table):
            found[table] = None
    return {
        "tables": tuple(found),
        "functions": _functions(elements),
        "texts": any(isinstance(each, TextClause) or _hides_in_text(each) for each in elements),
        "opaque": any(map(_is_opaque, elements)) or any(_locks_within(each, construct) for each in elements),
        "selects": sum(isinstance(each, Select) for each in elements),
        "nested": any(isinstance(each, SelectBase) and each is not construct for each in elements),
        "ctes": any(isinstance(each, CTE) for each in elements),
    }


def _select(construct: Any, compiled: Any, elements: list[Any]) -> dict[str, Any]:
    froms = construct.get_final_froms()
    joined, renamed = _joined(froms)
    columns = [part for column in construct.selected_columns for part in iterate(column)]
    grouped = bool(construct._group_by_clauses)  # noqa: SLF001
    ordered = (getattr(each, "element", each) for each in construct._order_by_clauses)  # noqa: SLF001
    return {
        "kind": Kind.SELECT,
        "table": _own(froms[0]) if len(froms) == 1 else None,
        "sources": len(froms),
        "joins": bool(construct._setup_joins),  # noqa: SLF001
        "joined": joined,
        "renamed": renamed,
        **_condition(construct, compiled),
        "lock": _lock(construct),
        "limited": construct._limit_clause is not None or construct._fetch_clause is not None,  # noqa: SLF001
        "offset": construct._offset_clause is not None,  # noqa: SLF001
        "distinct": bool(construct._distinct),  # noqa: SLF001
        "grouped": grouped,
        "having": bool(construct._having_criteria),  # noqa: SLF001
        "suffixed": bool(construct._suffixes),  # noqa: SLF001
        "folds": not grouped and all(map(_is_aggregate, construct.selected_columns)),
        "sorted_by": frozenset(each.name for each in ordered if isinstance(each, Column)),
        "shown": tuple(map(_shown, compiled._result_columns)),  # noqa: SLF001
        "shown_functions": _functions(columns),
        "shown_obscure": any(map(_is_obscure, columns)),
        "harmless": all(map(_is_harmless, elements)),
    }


def _insert(construct: Any, compiled: Any) -> dict[str, Any]:
    several = bool(construct._multi_values)  # noqa: SLF001
    return {
        "kind": Kind.INSERT,
        "table": _own(construct.table),
        "simple": construct._post_values_clause is None and construct.select is None,  # noqa: SLF001
        "given": frozenset() if several else frozenset(compiled.column_keys or compiled.binds),
    }


def _change(construct: Any, compiled: Any) -> dict[str, Any]:
    values = getattr(compiled.compile_state, "_dict_parameters", None) or {}
    condition = _condition(construct, compiled)
    parts = [part for clause in condition["criteria"] for part in iterate(clause)]
    return {
        "kind": Kind.UPDATE if isinstance(construct, Update) else Kind.DELETE,
        "table": _own(construct.table),
        **condition,
        "given": frozenset(str(getattr(column, "key", column)) for column in values)
        | frozenset(compiled.column_keys or ()),
        "computes": any(isinstance(part, Column) for value in values.values() for part in iterate(value)),
        "harmless": all(map(_is_harmless, parts)),
    }


def _condition(construct: Any, compiled: Any) -> dict[str, Any]:
    criteria = where(construct)
    parts = list(_conjuncts(criteria))
    names = compiled.bind_names
    return {"criteria": criteria, "names": names, "parts": len(parts), "bindings": tuple(_bindings(parts, names))}


def bindings_of(clause: Any, compiled: Any) -> tuple[Binding, ...]:
    """The columns that a condition binds to values."""
    return tuple(_bindings(_conjuncts((clause,)), compiled.bind_names))


def _conjuncts(criteria: Iterable[Any]) -> Iterator[Any]:
    """The parts of a WHERE clause that must all hold."""
    for each in criteria:
        inner = each.element if isinstance(each, Grouping) else each
        if isinstance(inner, BooleanClauseList) and inner.operator is operators.and_:
            yield from _conjuncts(inner.clauses)
        else:
            yield inner


def _bindings(parts: Iterable[Any], names: Any) -> Iterator[Binding]:
    for each in parts:
        if isinstance(each, BinaryExpression) and each.operator in (operators.eq, operators.in_op):
            several = each.operator is operators.in_op
            column, value = each.left, each.right
            if isinstance(value, Column) and not several:
                column, value = value, column
            if isinstance(column, Column) and isinstance(value, BindParameter):
                yield Binding(column, names.get(value), several)


def _lock(construct: Any) -> RowLock | None:
    asked = getattr(construct, "_for_update_arg", None)
    if asked is None:
        return None
    return RowLock(bool(asked.read), bool(asked.key_share), not (asked.nowait or asked.skip_locked))


def _own(table: Any) -> Table | None:
    """The table as its metadata has it, without what the ORM notes on its copy; None if it is not a Table."""
    return table.metadata.tables.get(table.key, table) if isinstance(table, Table) else None


def _joined(froms: Iterable[Any]) -> tuple[frozenset[Table], bool]:
    """The tables among these, joins taken apart, and whether there is one under another name."""
    found, renamed, ahead = set(), False, list(froms)
    while ahead:
        each = ahead.pop()
        if isinstance(each, Table):
            found.add(each)
        else:
            ahead += [side for side in (getattr(each, "left", None), getattr(each, "right", None)) if side is not None]
            renamed |= isinstance(getattr(each, "element", None), Table)
    return frozenset(found), renamed


def _shown(entry: Any) -> Shown:
    """A column of the result; `entry` is what SQLAlchemy keeps of it."""
    column = next((each for each in entry.objects if isinstance(each, Column) and each.table is not None), None)
    if column is not None:
        table = getattr(column.table, "element", column.table)  # an alias stands for its table
        return Shown(column.name, table if isinstance(table, Table) else None, column.table)
    wholes = [each for each in entry.objects if hasattr(each, "get_children")]  # others are names, or a label's own
    elements = [part for each in wholes for part in iterate(each)]
    of_values = "count" not in _functions(elements) and any(isinstance(part, Column) for part in elements)
    return Shown(of_values=of_values)


def _hides_in_text(element: Any) -> bool:
    """Whether a literal column is more than a name or a number."""
    return isinstance(element, ColumnClause) and element.is_literal and not _NAME.fullmatch(str(element))


def _is_opaque(element: Any) -> bool:
    return getattr(element, "__visit_name__", "") in _OPAQUE or (
        isinstance(getattr(element, "operator", None), operators.custom_op)
    )


def _locks_within(element: Any, construct: Any) -> bool:
    """Whether it is a query inside a statement that locks rows of its own."""
    return element is not construct and isinstance(element, Select) and _lock(element) is not None


def _functions(elements: Iterable[Any]) -> frozenset[str]:
    return frozenset(_name(each) for each in elements if isinstance(each, FunctionElement))


def _name(function: Any) -> str:
    return str(getattr(function, "name", "")).lower()


def _is_aggregate(column: Any) -> bool:
    column = column.element if isinstance(column, Label) else column
    if not isinstance(column, FunctionElement):
        return False
    return any(map(_is_aggregate, column.clauses)) if _name(column) == "coalesce" else _name(column) in AGGREGATES


def _is_harmless(element: Any) -> bool:
    """Whether the lab may run this part of a query as well."""
    if isinstance(element, FunctionElement):
        return _name(element) in PURE
    if isinstance(element, TextClause) or (isinstance(element, ColumnClause) and element.is_literal):
        return "(" not in str(element)
    return not isinstance(element, UpdateBase)


def _is_obscure(element: Any) -> bool:
    """Whether a column may fold rows without saying so."""
    if isinstance(element, (TextClause, Over)):
        return True
    return isinstance(element, ColumnClause) and element.is_literal and "(" in str(element)
