"""What the lab reads from SQLAlchemy's constructs, and that none of them is an error inside the lab."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    column,
    delete,
    extract,
    func,
    insert,
    lambda_stmt,
    literal,
    select,
    table,
    text,
    union,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column
from sqlalchemy.schema import DDL, CreateTable
from sqlalchemy.sql.functions import FunctionElement

from lab import Scenario, actor, invariant
from lab.model.remedy import Remedy
from lab.model.trace import ActionKind
from lab.postgres.locks.remedy_locks import Locking
from lab.postgres.statements import construct
from lab.postgres.statements.bulk import bulk_of
from lab.postgres.statements.construct import read, statement_of
from lab.postgres.statements.footprints import footprint_of
from lab.postgres.statements.readings import reading_of
from lab.postgres.statements.shapes import declared
from lab.postgres.statements.statement import NOT_UNDERSTOOD, Kind, RowLock
from lab.schedulers.guided import Guided
from lab.search.hunt import Hunt

METADATA = MetaData()
NOTE = Table("note", METADATA, Column("id", Integer, primary_key=True, autoincrement=False), Column("n", Integer))
LIGHT = table("note", column("id"), column("n"))
OTHER = NOTE.alias("other")


class Base(DeclarativeBase):
    """Rows whose keys the database makes."""


class Entry(Base):
    __tablename__ = "entry"
    id: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int]


class Nameless(FunctionElement):
    """A function of an application's own, which only its compiler knows."""

    inherit_cache = True


def context_of(statement) -> SimpleNamespace:
    """What SQLAlchemy hands on when it executes a statement, without executing it."""
    compiled = statement.compile(dialect=asyncpg.dialect())
    return SimpleNamespace(
        compiled=compiled,
        compiled_parameters=[dict(compiled.params)] if compiled.params else [],
        invoked_statement=statement,
        executemany=False,
        cursor=SimpleNamespace(server_side=False),
        execution_options={},
    )


SAID = {
    "a row by its key": (select(NOTE).where(NOTE.c.id == 1), {"kind": Kind.SELECT, "table": NOTE, "parts": 1}),
    "a lock": (select(NOTE).with_for_update(), {"lock": RowLock(shared=False, spares_key=False, waits=True)}),
    "a weak lock that does not wait": (
        select(NOTE).with_for_update(read=True, key_share=True, nowait=True),
        {"lock": RowLock(shared=True, spares_key=True, waits=False)},
    ),
    "LIMIT": (select(NOTE).limit(1), {"limited": True}),
    "FETCH FIRST": (select(NOTE).fetch(1), {"limited": True}),
    "OFFSET": (select(NOTE).offset(1), {"offset": True}),
    "another name": (select(OTHER), {"table": None, "tables": (NOTE,), "renamed": True}),
    "an aggregate": (select(func.sum(NOTE.c.n)), {"folds": True, "functions": frozenset({"sum"})}),
    "an UPDATE": (update(NOTE).values(n=NOTE.c.n + 1), {"kind": Kind.UPDATE, "given": {"n"}, "computes": True}),
    "an UPDATE in its own order": (update(NOTE).ordered_values((NOTE.c.id, 2)), {"given": {"id"}, "computes": False}),
    "a DELETE": (delete(NOTE), {"kind": Kind.DELETE, "table": NOTE, "criteria": ()}),
    "an INSERT": (insert(NOTE).values(id=1), {"kind": Kind.INSERT, "table": NOTE, "simple": True}),
    "an INSERT from a SELECT": (insert(NOTE).from_select(["id"], select(OTHER.c.id)), {"simple": False}),
    "a light table": (insert(LIGHT).values(id=1), {"kind": Kind.INSERT, "table": None, "tables": ()}),
    "a UNION": (union(select(NOTE.c.id), select(NOTE.c.n)), {"kind": Kind.QUERY, "tables": (NOTE,)}),
    "text": (text("SELECT 1"), {"kind": Kind.TEXT}),
    "a function alone": (func.now(), {"kind": Kind.OTHER, "functions": frozenset({"now"})}),
    "DDL": (CreateTable(NOTE), {"kind": Kind.OTHER}),
}


@pytest.mark.parametrize("name", SAID)
def test_a_construct_says(name):
    statement, expected = SAID[name]
    said = statement_of(context_of(statement).compiled)
    assert {field: getattr(said, field) for field in expected} == expected


def test_a_compiled_form_is_read_once():
    compiled = context_of(select(NOTE)).compiled
    made: list[object] = []
    assert statement_of(compiled) is statement_of(compiled)
    assert [read(compiled, made.append, otherwise=None) for _ in range(3)] == [None] * 3
    assert made == [statement_of(compiled)]


STRANGE = {
    "a light table, read": select(LIGHT).where(LIGHT.c.id == 1).with_for_update(),
    "a light table, new": insert(LIGHT).values(id=1, n=1),
    "a light table, changed": update(LIGHT).where(LIGHT.c.n > 1).values(n=1),
    "a light table, emptied": delete(LIGHT).where(LIGHT.c.n > 1),
    "another name, changed": update(OTHER).values(n=1),
    "an alias of an entity, changed": update(aliased(Entry)).values(position=1),
    "values": select(values(column("a", Integer), name="v").data([(1,)])),
    "a function alone": func.now(),
    "a column of nothing": select(column("id")).select_from(NOTE).where(column("id") == 3).with_for_update(),
    "a bound value first": select(NOTE).where(literal(1) == NOTE.c.id),
    "a volatile function": update(NOTE).where(extract("epoch", func.clock_timestamp()) > NOTE.c.n).values(n=1),
    "a series": select(func.generate_series(1, 3).table_valued("v")),
    "a lambda": lambda_stmt(lambda: select(NOTE).where(NOTE.c.n > 3).with_for_update()),
    "a text for entities": select(Entry).from_statement(text("SELECT * FROM entry")),
    "a label to sort by": select(NOTE.c.n.label("x")).order_by("x").with_for_update(),
    "DDL": CreateTable(NOTE),
    "DDL of one's own": DDL("CREATE TABLE x ()"),
}


def looked_at(context) -> tuple[object, ...]:
    """What every reader makes of a statement."""
    sent = str(context.compiled)
    touched = footprint_of(context, dict([declared(NOTE, ""), declared(Entry.__table__, "")]))()
    locking = Locking(Remedy("locks", lock_reads=frozenset({"note"})), {"": METADATA})
    connection = SimpleNamespace(
        execute=lambda *_, **__: SimpleNamespace(all=list),
        connection=SimpleNamespace(dbapi_connection=SimpleNamespace(readonly=False)),
    )
    bulk = bulk_of(context, sent)
    question = None if bulk is None else bulk.question
    return touched, reading_of(context, sent, {"note": ("id",)}), question, locking.read(connection, sent, context)


@pytest.mark.parametrize("name", STRANGE)
def test_every_reader_takes_whatever_sqlalchemy_can_send(name):
    looked_at(context_of(STRANGE[name]))


@pytest.mark.parametrize("statement", [select(NOTE), update(NOTE).values(n=1), insert(NOTE).values(id=1)], ids=str)
def test_what_cannot_be_read_is_not_understood(statement, monkeypatch, caplog):
    """A defect of the lab, or a construct that nobody foresaw, costs what the lab would know and nothing else."""

    def broken(*_):
        raise AttributeError("no such attribute in this version")

    monkeypatch.setattr(construct, "_inside", broken)
    context = context_of(statement)
    with caplog.at_level(logging.WARNING):
        touched, reading, question, sent = looked_at(context)
    assert statement_of(context.compiled) is NOT_UNDERSTOOD
    assert (touched, reading.understood, question, sent) == (None, False, None, str(context.compiled))
    assert [" ".join(each.getMessage().split()) for each in caplog.records] == [
        "this statement counts as not understood, since it could not be read: " + " ".join(sent.split())
    ]


def test_a_reader_that_fails_understands_nothing_and_does_not_hinder_the_others():
    compiled = context_of(select(NOTE)).compiled
    assert read(compiled, lambda _: 1 // 0, otherwise="nothing") == "nothing"
    assert read(compiled, lambda statement: statement.table, otherwise=None) is NOTE


# ------------------------------------------------------------------ on a real server


@dataclass(frozen=True)
class TwoNewRows(Scenario):
    """One INSERT of two rows whose keys the database makes."""

    metadata = Base.metadata

    @actor(names=("ann", "ben"))
    async def add(self, session: AsyncSession) -> None:
        session.add_all([Entry(position=1), Entry(position=2)])
        await session.commit()

    @invariant
    async def all_are_there(self, session: AsyncSession) -> None:
        assert await session.scalar(select(func.count()).select_from(Entry)) == 4


@dataclass(frozen=True)
class Raises(Scenario):
    """A bulk UPDATE that the lab may not ask about, before anything else."""

    metadata = METADATA

    async def setup(self, session: AsyncSession) -> None:
        await session.execute(insert(NOTE), [{"id": 1, "n": 0}, {"id": 2, "n": 0}])

    @actor(names=("ann", "ben"))
    async def add(self, session: AsyncSession) -> None:
        later = func.extract("epoch", func.clock_timestamp()) > NOTE.c.n
        await session.execute(update(NOTE).where(later).values(n=NOTE.c.n + 1))
        await session.commit()


@dataclass(frozen=True)
class Light(Scenario):
    """Statements of a light table, which knows no keys."""

    metadata = METADATA

    @actor(names=("ann", "ben"))
    async def add(self, session: AsyncSession, name: str) -> None:
        number = 1 if name == "ann" else 2
        await session.execute(insert(LIGHT).values(id=number, n=0))
        await session.execute(update(LIGHT).where(LIGHT.c.id == number).values(n=1))
        await session.execute(select(LIGHT).where(LIGHT.c.n > 0).with_for_update())
        await session.execute(delete(LIGHT).where(LIGHT.c.id == number))
        await session.commit()


@dataclass(frozen=True)
class SortedByALabel(Raises):
    """A bulk lock, of which the lab cannot make the query that finds its rows."""

    @actor(names=("ann", "ben"))
    async def add(self, session: AsyncSession) -> None:
        await session.execute(select(NOTE.c.n.label("x")).order_by("x").with_for_update())
        await session.commit()


@dataclass(frozen=True)
class Definitions(Scenario):
    """DDL, which has no parameters, and a function on its own."""

    metadata = METADATA

    @actor(names=("ann", "ben"))
    async def add(self, session: AsyncSession, name: str) -> None:
        await session.execute(DDL(f"CREATE TEMPORARY TABLE mine_{name} (id int)"))
        await session.execute(func.now())
        await session.rollback()


@pytest.mark.parametrize("scheduler", ["random", "dpor"])
@pytest.mark.parametrize("scenario", [TwoNewRows, Raises, Light, SortedByALabel, Definitions])
async def test_legal_statements_raise_nothing_inside_the_lab(explorer, scenario, scheduler):
    """An error in an actor would be a violation, and one in the lab would end the hunt."""
    result = await Hunt.of(scenario(), scheduler=scheduler, executions=6).run(explorer)
    assert result.verdict in ("pass", "inconclusive")


async def test_an_insert_of_several_rows_shows_the_values_that_it_sends(explorer):
    """SQLAlchemy sends them as one statement with the parameters of all rows."""
    record = await explorer.run(TwoNewRows(), Guided([]))
    sent = [step.action for step in record.trace if step.action.kind is ActionKind.STATEMENT]
    assert [action.parameters for action in sent] == [("1", "2"), ("1", "2")]
