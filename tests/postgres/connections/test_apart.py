"""Two databases in one application: each connection finds the tables of the database that its URL names."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import asyncpg
import pytest
from helpers.kit import Order, replays
from sqlalchemy import MetaData, Table, text, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant
from lab.errors import ScenarioError
from lab.model.remedy import Remedy
from lab.report.story import story
from lab.scenario.validation import validate
from lab.schedulers import make_scheduler
from lab.search.hunt import Hunt

URL = "postgresql+asyncpg://app:secret@nowhere.invalid/"
shop, billing = create_async_engine(URL + "shop"), create_async_engine(URL + "billing")


class Shop(DeclarativeBase):
    """The tables of the shop."""


class Billing(DeclarativeBase):
    """Those of billing, one of the same name among them."""


class Account(Shop):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    credit: Mapped[int]


class Due(Billing):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]


class Line(Billing):
    __tablename__ = "line"
    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]


@dataclass(frozen=True)
class Two(Scenario):
    """Credit of 100 in the shop, and what was paid in billing."""

    databases = {"shop": Shop.metadata, "billing": Billing.metadata}  # noqa: RUF012 - as people write it

    async def setup(self, session) -> None:
        session.add(Account(id=1, credit=100))
        async with AsyncSession(billing) as other:
            other.add(Due(id=1, cents=0))
            await other.commit()

    @invariant
    async def no_money_is_lost(self, session) -> None:
        paid = await session.scalar(text("SELECT cents FROM billing.account"))
        assert await session.scalar(text("SELECT credit FROM account")) + paid == 100


class MovesOnce(Two):
    """Right: what is read is locked, in both databases in the same order."""

    @actor(names=("alice", "bob"))
    async def move(self) -> None:
        async with AsyncSession(shop) as here, AsyncSession(billing) as there:
            account = await here.get(Account, 1, with_for_update=self.locks())
            due = await there.get(Due, 1, with_for_update=self.locks())
            account.credit -= 10
            due.cents += 10
            await here.commit()
            await there.commit()

    def locks(self) -> bool:
        return True


class MovesTwice(MovesOnce):
    """Wrong: two may read what one of them then overwrites, in either database."""

    def locks(self) -> bool:
        return False


class OnTheWay(MovesTwice):
    """Wrong in billing alone, by a pool of asyncpg's that is made on the way."""

    @actor(names=("alice", "bob"))
    async def move(self, session) -> None:
        await session.execute(text("UPDATE account SET credit = credit - 10"))
        await session.commit()
        url = "postgresql://app@nowhere.invalid:7777/billing"
        async with asyncpg.create_pool(url, min_size=1) as pool, pool.acquire() as connection:
            cents = await connection.fetchval("SELECT cents FROM account WHERE id = 1")
            await connection.execute("UPDATE account SET cents = $1 WHERE id = 1", cents + 10)


async def test_who_moves_money_rightly_between_two_databases_passes(explorer):
    """Tables of one name do not meet: with locks in both, no schedule loses money."""
    result = await Hunt.of(MovesOnce(), executions=20, refine=False).run(explorer)
    assert (result.executions, result.failures) == (20, [])


@pytest.mark.parametrize("wrong", [MovesTwice, OnTheWay])
async def test_who_moves_it_wrongly_is_found_and_replays(explorer, wrong):
    """A quarter of random schedules interleave read and write, so 20 executions all but surely find it."""
    scheduler = make_scheduler("random", 0)
    records = [await explorer.run(wrong(), scheduler, execution=number) for number in range(20)]
    broken = [record for record in records if record.findings]
    assert broken
    assert {finding.name for record in broken for finding in record.findings} == {"no money is lost"}
    assert await replays(explorer, broken[0], 3)


class PaysInBilling(Two):
    """Wrong in billing alone; every statement is one that the lab understands."""

    @actor(names=("alice", "bob"))
    async def pay(self) -> None:
        async with AsyncSession(billing) as there:
            due = await there.get(Due, 1)
            due.cents += 10
            await there.commit()
        async with AsyncSession(shop) as here:
            account = await here.get(Account, 1, with_for_update=True)
            account.credit -= 10
            await here.commit()


async def test_a_lost_update_in_the_second_database_is_named_by_its_table(explorer):
    """Versions of a row are those of its own database, and a step of the story says in which it happens."""
    record = await explorer.run(PaysInBilling(), Order("alice bob alice alice"), recorded=True)
    assert record.unseen == ()
    assert record.anomalies == ("P4",)
    assert record.history is not None
    assert {each.item.split()[0] for each in record.history.transactions[0].operations} == {"billing.account"}
    lines = story(record.trace)
    assert "billing: SELECT id, cents" in lines
    assert "billing: COMMIT" in lines
    assert "  SELECT id, credit" in lines
    touched = [record.trace.steps[number].action.footprint.accesses for number in (0, 4)]
    assert [{each.rows.table for each in accesses} for accesses in touched] == [{"billing.account"}, {"account"}]


async def test_a_remedy_locks_rows_in_the_second_database(explorer):
    """FOR UPDATE on what is read in billing, which is what helps there."""
    remedy = Remedy("locks", lock_reads=frozenset({"billing.account"}))
    record = await explorer.run(PaysInBilling(), Order("alice bob alice alice"), remedy=remedy)
    assert not record.failed
    assert len(record.applied.locked) == 1


async def test_a_statement_on_the_second_database_is_paused_between_two_of_its_rows(explorer):
    """The lab finds and holds the rows where the connection has them, not those of a table of the same name."""

    class Raises(Two):
        async def setup(self, session) -> None:
            await super().setup(session)
            async with AsyncSession(billing) as other:
                other.add_all([Due(id=2, cents=0), Due(id=3, cents=0)])
                await other.commit()

        no_money_is_lost = None

        @actor(names=("alice", "bob"))
        async def raises(self) -> None:
            async with AsyncSession(billing) as there:
                await there.execute(update(Due).values(cents=Due.cents + 1))
                await there.commit()

    record = await explorer.run(Raises(), Order("pause2@alice bob"))
    assert record.trace.steps[0].wait.target == "after row id=1, before row id=2 of billing.account"
    assert not record.failed


async def test_each_sees_its_own_tables_alone(explorer):
    class Strays(Two):
        no_money_is_lost = None

        @actor(names=("alice", "bob"))
        async def stray(self, name) -> int:
            async with (shop if name == "alice" else billing).connect() as connection:
                await connection.execute(text("RESET ALL"))
                return await connection.scalar(text("SELECT count(*) FROM line"))

    record = await explorer.run(Strays(), Order())
    assert record.outcome.results["alice"].sqlstate == "42P01"
    assert record.outcome.results["bob"].value == 0


async def test_what_an_actor_changes_in_the_second_database_is_undone(explorer):
    class Makes(Two):
        databases = {"shop": Shop.metadata, "billing": None}  # noqa: RUF012 - as people write it
        no_money_is_lost = None

        async def schema(self, connection) -> None:
            await connection.execute(text("CREATE TABLE billing.note (id int)"))
            async with billing.begin() as other:
                await other.execute(text("CREATE TABLE made (id serial)"))

        async def setup(self, session) -> None:
            async with billing.begin() as other:
                await other.execute(text("INSERT INTO note VALUES (1)"))

        @actor(names=("alice", "bob"))
        async def make(self, name) -> int:
            async with billing.begin() as connection:
                await connection.execute(text(f"CREATE TABLE made_by_{name} AS SELECT * FROM note"))
                await connection.execute(text("INSERT INTO note VALUES (2)"))
                await connection.execute(text("INSERT INTO made DEFAULT VALUES"))
                return await connection.scalar(text(f"SELECT count(*) FROM note, made_by_{name}, made"))

    for _ in range(2):
        record = await explorer.run(Makes(), Order())
        assert record.outcome.results["alice"].value == 2
        assert record.outcome.rows["billing.made_by_alice"] == ("(1)",)


def _by_an_engine(url):
    engine = create_async_engine(url)

    async def use() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    return use


def _by_asyncpg(*args, **options):
    async def use() -> None:
        await asyncpg.connect(*args, **options)

    return use


def _by_a_statement(engine, statement):
    async def use() -> None:
        async with engine.connect() as connection:
            await connection.execute(text(statement))

    return use


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        (
            _by_an_engine(URL + "orders"),
            r"alice opens postgresql://app@nowhere.invalid/orders, .* only 'shop', 'billing'; add .* 'orders'",
        ),
        (_by_asyncpg("postgresql://me:secret@db:5433/orders"), "alice opens postgresql://me@db:5433/orders, but"),
        (_by_asyncpg(host="db", port=5433, user="me", password="secret"), "opens postgresql://me@db:5433/me, but"),
        (
            _by_asyncpg("postgresql://app@db/shop", server_settings={"search_path": "x"}),
            "with a search_path of its own",
        ),
        (_by_a_statement(billing, "SET search_path TO public"), "alice sets or asks for search_path"),
        (_by_a_statement(billing, "SELECT * FROM public.account"), "alice names the schema public in .*'billing'"),
    ],
)
async def test_what_would_leave_its_database_is_refused(use, sentence, explorer):
    """One sentence says where it leads, without the password, and what to write."""

    class Leaves(Two):
        @actor(names=("alice", "bob"))
        async def leave(self) -> None:
            with contextlib.suppress(Exception):
                await use()

    with pytest.raises(ScenarioError, match=sentence) as refused:
        await explorer.run(Leaves(), Order())
    assert "secret" not in str(refused.value)


async def test_a_watched_engine_of_another_database_is_refused(explorer):
    class Watches(MovesOnce):
        watch = (shop, create_async_engine(URL + "orders"))

    with pytest.raises(ScenarioError, match=r"the watched engine opens postgresql://app@nowhere.invalid/orders"):
        await explorer.run(Watches(), Order())


async def test_the_first_may_name_the_schema_public(explorer):
    class Names(Two):
        @actor(names=("alice", "bob"))
        async def look(self) -> None:
            await _by_a_statement(shop, "SELECT * FROM public.account")()

    assert not (await explorer.run(Names(), Order())).failed


def _with_schema(schema) -> MetaData:
    metadata = MetaData()
    Table("kept", metadata, schema=schema)
    return metadata


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({}, r"has databases = \{\}; it maps names"),
        ([Shop.metadata], "it maps names of databases to their metadata"),
        ({"shop": Shop}, r"for the database 'shop'; write Shop.metadata"),
        ({"shop": "Shop"}, "it is a MetaData, or None"),
        ({1: Shop.metadata}, "a key is the name of a database"),
        ({"shop": None, "public": None}, "'public', which the lab cannot keep"),
        ({"shop": None, "x" * 64: None}, "which the lab cannot keep"),
        (
            {"shop": _with_schema("a"), "billing": _with_schema("a")},
            "the schema 'a' in the database 'billing'",
        ),
        (
            {"shop": _with_schema("billing"), "billing": None},
            "what belongs to the database 'billing'",
        ),
        ({"shop": None, "billing": _with_schema("public")}, "what belongs to the database 'shop'"),
    ],
)
def test_databases_that_cannot_be_told_apart_are_refused(wrong, sentence):
    class Wrong(MovesOnce):
        databases = wrong

    with pytest.raises(ScenarioError, match=sentence):
        validate(Wrong)


def test_metadata_beside_databases_must_be_the_first_of_them():
    class Same(MovesOnce):
        metadata = Shop.metadata

    class Other(MovesOnce):
        metadata = Billing.metadata

    validate(Same)
    with pytest.raises(ScenarioError, match="leave metadata out"):
        validate(Other)
