"""Reads of whatever query there is, by what PostgreSQL answers: joins, subqueries, aggregates, text.

Such a query is asked again, after the execution, on the rows that its snapshot showed. If the answer is the one that
the actor saw, these are the rows that it rests on, and it is asked once more for each version of a row that somebody
else made: where that changes the answer, the query has read the row, or would have found it. What it looked at without
any effect on the answer makes no claim. Nothing here depends on how a query is written, and nothing is taken from it
but its text.

The rows are put in the place of the tables by a WITH clause, and so are the queries of views in the place of these,
under a search path in which no table of the database is found: a query that reaches one all the same, through a
function of the application's, fails and counts as not followed.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from lab.postgres.connections.journal import Sent
from lab.postgres.recording.catalogued import Catalogued
from lab.postgres.recording.results import is_connection_loss
from lab.postgres.recording.row_versions import Item, RowVersion
from lab.postgres.statements.again import Query, query_in

__all__ = ["Answers", "Question", "question_of"]

MOST_ASKED = 60
"""Versions of rows for which one query is asked again; with more it counts as not followed."""
KEPT = 20_000
"""Answers that are remembered."""
_ALONE = ("transaction_read_only = on", "search_path = pg_catalog", "statement_timeout = '2s'")

_SCHEMA = re.compile(r'\b"?(?:public|pg_temp|information_schema)"?\s*\.', re.IGNORECASE)
_DRAWN = (dt.date, dt.time, float, str, uuid.UUID)
"""What moments and chance are, as values: no number of rows, and no yes or no."""

Answer = Counter[str]
Rows = Mapping[Item, RowVersion]


@dataclass(slots=True, eq=False)
class Question:
    """A statement, the query in it, and what its snapshot may have shown of the rows of its tables.

    `changed` are the versions of rows that give another answer, each beside what else was seen; None if the query could
    not be followed. `seen` is what it rests on.
    """

    sent: Sent
    query: Query
    step: int
    tables: tuple[str, ...]
    snapshots: Sequence[Rows]
    views: Mapping[str, str] = field(default_factory=dict)
    """The views that it names, with their queries, each after those that it is made of."""
    seen: Rows = field(default_factory=dict)
    changed: set[RowVersion] | None = None
    without: AbstractSet[int] | None = None
    """Columns of the answer that are compared with nothing; None until the query was asked for the first time."""

    @property
    def parameters(self) -> tuple[Any, ...]:
        """The values of the query."""
        return tuple(self.sent.parameters[place] for place in self.query.places)

    def versions(self) -> Iterator[tuple[Item, RowVersion]]:
        """The versions of rows that a serial order could have shown instead of those that were seen."""
        for item, row in self.seen.items():
            others = [item.initial, *(each for _, each in item.installed)]
            yield from ((item, each) for each in others if each is not row)


class _Asking:
    """A connection that reads no table of the database and changes nothing. It is opened for the first question."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._stack = AsyncExitStack()
        self._open: AsyncConnection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()  # which rolls back

    async def connection(self) -> AsyncConnection:
        """The connection, in a transaction."""
        if self._open is None:
            self._open = await self._stack.enter_async_context(self._engine.connect())
            for setting in _ALONE:
                await self._open.exec_driver_sql(f"SET LOCAL {setting}")
        return self._open


class Answers:
    """Asks queries again, in one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._known: dict[object, Answer | None] = {}

    async def follow(self, questions: Iterable[Question], items: Sequence[Item]) -> None:
        """Find out what each of these rests on, of all rows that there were at any time.

        Raises the driver's error when the database is gone.
        """
        if len(self._known) > KEPT:
            self._known.clear()
        async with _Asking(self._engine) as asking:
            for each in questions:
                later = {item: item.initial for item in items if item.table in each.tables}
                await self._follow(asking, each, later)

    async def _follow(self, asking: _Asking, question: Question, later: Rows) -> None:
        """`later` are the rows as they were before anybody made them: those that no snapshot holds."""
        for snapshot in question.snapshots:
            rows = {**later, **snapshot}
            answer = await self._answer(asking, question, rows)
            if answer is not None and _is_what_was_seen(question, answer):
                question.seen = rows
                break
        else:
            return
        others = list(question.versions())
        if len(others) > MOST_ASKED:
            return
        changed = set()
        for item, row in others:
            instead = await self._answer(asking, question, {**question.seen, item: row})
            if instead is None:
                return
            if instead != answer:
                changed.add(row)
        question.changed = changed

    async def _answer(self, asking: _Asking, question: Question, rows: Rows) -> Answer | None:
        """The answer on these rows, None where there is none."""
        there = [(item.table, row.document) for item, row in rows.items() if row.values is not None]
        documents = [f"[{','.join(text for of, text in there if of == table)}]" for table in question.tables]
        key = question.query.text, repr(question.parameters), tuple(documents)
        if question.query.differs:
            return await _asked(await asking.connection(), question, documents)
        if key not in self._known:
            self._known[key] = await _asked(await asking.connection(), question, documents)
        return self._known[key]


async def _asked(connection: AsyncConnection, question: Question, documents: Sequence[str]) -> Answer | None:
    given = question.parameters
    tables = ", ".join(
        f'"{table}" AS (SELECT * FROM jsonb_populate_recordset(NULL::public."{table}", '
        f"CAST(CAST(${len(given) + number} AS text) AS jsonb)))"
        for number, table in enumerate(question.tables, 1)
    )
    views = "".join(f', "{view}" AS ({query})' for view, query in question.views.items())
    sql = f"WITH {tables}{views} SELECT * FROM ({question.query.text}) AS answered"
    try:
        async with connection.begin_nested():
            rows = (await connection.exec_driver_sql(sql, (*given, *documents))).all()
    except SQLAlchemyError as error:
        if is_connection_loss(error):
            raise
        return None
    if question.without is None:
        question.without = _by_nature(question, rows)
    return _counted(rows, question.without)


def _counted(rows: Iterable[Sequence[Any]], without: AbstractSet[int] = frozenset()) -> Answer:
    return Counter(repr(tuple(each for place, each in enumerate(row) if place not in without)) for row in rows)


def _is_what_was_seen(question: Question, answer: Answer) -> bool:
    """Whether an answer is that of the statement; of one that writes, whether so many rows were written."""
    if not question.query.whole:
        return answer.total() == len(question.sent.written)
    return answer == _counted(question.sent.rows, question.without or frozenset())


def _by_nature(question: Question, answer: Iterable[Sequence[Any]]) -> frozenset[int]:
    """The columns that hold other moments, or other chance, than those that were seen."""
    if not question.query.differs or not question.query.whole:
        return frozenset()
    seen, again = (list(zip(*map(tuple, rows), strict=True)) for rows in (question.sent.rows, answer))
    return frozenset(
        place
        for place, (values, others) in enumerate(zip(seen, again, strict=False))
        if Counter(map(repr, values)) != Counter(map(repr, others)) and all(isinstance(each, _DRAWN) for each in values)
    )


def question_of(sent: Sent, known: Catalogued, snapshots: Sequence[Mapping[Item, RowVersion]]) -> Question | None:
    """The question that a statement leaves open; None where it cannot be asked again, or by no name of a table."""
    if sent.schema or not isinstance(sent.parameters, tuple):
        return None
    query = query_in(sent.text, known.functions, known.keys)
    views = _views(query.text, known) if query is not None else None
    if query is None or views is None:
        return None
    texts = [query.text, *views.values()]
    named = tuple(sorted(name for name in known.keys if "." not in name and any(_names(each, name) for each in texts)))
    if not named or any(_SCHEMA.search(each) for each in texts):
        return None
    shown = [{item: row for item, row in rows.items() if item.table in named} for rows in snapshots]
    return Question(sent, query, sent.step, named, shown, views)


def _views(text: str, known: Catalogued) -> dict[str, str] | None:
    """The views that a query names, each after those that it is made of; None if one cannot be asked again."""
    found: dict[str, str] = {}
    for name, definition in known.beyond.views.items():
        if name not in found and _names(text, name):
            inner = _views(definition, known)
            if inner is None or query_in(definition, known.functions, known.keys) is None:
                return None
            found |= {**inner, name: definition}
    return found


def _names(text: str, table: str) -> bool:
    return bool(re.search(rf'(?<![\w.])"?{re.escape(table)}"?(?!\w)', text, re.IGNORECASE))
