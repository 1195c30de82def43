"""Which versions of rows satisfy a condition: PostgreSQL answers that, also for rows that no longer exist.

The condition of a statement is evaluated on a set of rows given as JSON, in a query of the lab's own after the
execution. Answers are remembered, since executions of one scenario meet the same conditions and rows again and again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Text, and_, bindparam, cast, column, func, literal_column, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.sql.visitors import replacement_traverse

from lab.postgres.connections.journal import Sent
from lab.postgres.recording.operations import Condition
from lab.postgres.recording.results import is_connection_loss
from lab.postgres.statements.pieces import value_of

__all__ = ["Matches", "described", "statement"]

KEPT = 20_000
"""Answers that are remembered."""
_LITERAL = re.compile(r"('(?:[^']|'')*')")
_WHERE = re.compile(
    r"\bWHERE\b(.*?)(?:\b(?:ORDER BY|GROUP BY|LIMIT|OFFSET|FOR (?:NO KEY |KEY )?(?:UPDATE|SHARE)|RETURNING)\b|$)",
    re.DOTALL,
)
_PLACEHOLDER = re.compile(r"\$(\d+)(?:::[A-Za-z_]\w*(?: VARYING| PRECISION)?(?:\[\])?)?")


def described(condition: Condition) -> str:
    """A condition as people say it, with its values in place: "account where balance > 0"."""
    table, sent = condition.reading.table, condition.sent
    found = _WHERE.search(sent.text)
    if found is None:
        return f"any {table}"
    given = sent.parameters
    values = given[condition.number] if given and isinstance(given[0], (tuple, list)) else given
    parts = _LITERAL.split(" ".join(found[1].split()))
    beginning = f"{sent.schema}."
    for place in range(0, len(parts), 2):
        text = _PLACEHOLDER.sub(lambda number: _value(values, int(number[1])), parts[place])
        parts[place] = text.replace(f"{table.removeprefix(beginning)}.", "")
    return f"{table} where {''.join(parts)}"


def statement(sent: Sent) -> str:
    """A statement with its values in place."""
    parts = _LITERAL.split(" ".join(sent.text.split()))
    for place in range(0, len(parts), 2):
        parts[place] = _PLACEHOLDER.sub(lambda number: _value(sent.parameters, int(number[1])), parts[place])
    return "".join(parts)


def _value(values: Sequence[Any], number: int) -> str:
    return repr(values[number - 1]) if number <= len(values) else f"${number}"


class Matches:
    """Answers whether rows satisfy conditions, for one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._known: dict[tuple[str, str], bool | None] = {}

    async def ask(self, questions: Mapping[str, tuple[Condition, Sequence[str]]]) -> None:
        """Learn which rows, given as JSON objects, satisfy the conditions, given by their descriptions."""
        if len(self._known) > KEPT:
            self._known.clear()
        unknown = {
            name: (condition, new)
            for name, (condition, rows) in questions.items()
            if (new := [row for row in dict.fromkeys(rows) if (name, row) not in self._known])
        }
        if unknown:
            async with self._engine.connect() as connection:
                for name, (condition, rows) in unknown.items():
                    matching = await _matching(connection, condition, rows)
                    answers = [None if matching is None else at in matching for at in range(1, len(rows) + 1)]
                    self._known.update({(name, row): answer for row, answer in zip(rows, answers, strict=True)})

    def satisfied(self, name: str, row: str) -> bool | None:
        """Whether a row satisfies a condition that was evaluated; None where PostgreSQL could not evaluate it."""
        return self._known[name, row]


async def _matching(connection: AsyncConnection, condition: Condition, rows: Sequence[str]) -> set[int] | None:
    """The numbers of the rows that match, from 1; None for a condition that cannot be evaluated on rows alone."""
    table = condition.reading.construct
    columns = (column(each.name, each.type) for each in table.columns)
    documents = cast(bindparam("rows", f"[{','.join(rows)}]", Text), JSONB)
    made = func.jsonb_populate_recordset(literal_column(f"NULL::{_quoted(table, condition.sent.schema)}"), documents)
    given = made.table_valued(*columns, with_ordinality="ordinality", name="given")
    names, values = condition.reading.names, condition.sent.context.compiled_parameters[condition.number]

    def put(element: Any, **more: Any) -> Any:
        if isinstance(element, Column):
            return given.c[element.name]
        if isinstance(element, BindParameter):  # the construct may be of an earlier execution, with other values
            value = value_of(values, names[element])
            return bindparam(None, value, element.type, expanding=element.expanding, unique=True)
        return None

    try:
        criteria = replacement_traverse(and_(True, *condition.reading.criteria), {}, put)  # noqa: FBT003 - SQL's TRUE
    except KeyError:  # a parameter that the statement did not have: it is not the condition of that statement
        return None
    try:
        async with connection.begin_nested():
            return set(await connection.scalars(select(given.c.ordinality).where(criteria)))
    except SQLAlchemyError as error:
        if is_connection_loss(error):
            raise
        return None


def _quoted(table: Any, schema: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in (table.schema or schema, table.name) if part)
