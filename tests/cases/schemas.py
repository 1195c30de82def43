"""Scenarios whose tables do not come from metadata: migrations, raw SQL in setup, tables that actors make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, text

from lab import Scenario, actor, invariant

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


class _Migrated(Scenario):
    @classmethod
    async def schema(cls, connection):
        await connection.run_sync(migrate)

    async def setup(self, session):
        await session.execute(text("INSERT INTO theatre.seat VALUES (2, 'circle', NULL)"))

    @invariant
    async def a_seat_is_taken_once(self, session):
        assert await session.scalar(text("SELECT count(*) FROM theatre.log")) == 1

    @invariant
    async def the_migrations_ran(self, session):
        assert await session.scalar(text("SELECT version_num FROM alembic_version")) == "0002"
        assert await session.scalar(text("SELECT count(*) FROM theatre.seat")) == 2


@dataclass(frozen=True)
class MigratedTwice(_Migrated):
    """Wrong: both look before either takes the seat."""

    @actor(names=("alice", "bob"))
    async def book(self, session, name):
        if await session.scalar(text("SELECT taken_by FROM theatre.seat WHERE id = 1")) is None:
            await session.execute(text("UPDATE theatre.seat SET taken_by = :name WHERE id = 1"), {"name": name})
        await session.commit()


@dataclass(frozen=True)
class MigratedOnce(_Migrated):
    """Right: who takes it looks in the same statement."""

    @actor(names=("alice", "bob"))
    async def book(self, session, name):
        await session.execute(
            text("UPDATE theatre.seat SET taken_by = :name WHERE id = 1 AND taken_by IS NULL"), {"name": name}
        )
        await session.commit()


class _Purse(Scenario):
    async def setup(self, session):
        await session.execute(text("CREATE TABLE purse (id int PRIMARY KEY, coins int)"))
        await session.execute(text("INSERT INTO purse VALUES (1, 100)"))


@dataclass(frozen=True)
class SpentTwice(_Purse):
    """Wrong: the check and the payment are two statements."""

    @actor(names=("alice", "bob"))
    async def pay(self, session):
        coins = await session.scalar(text("SELECT coins FROM purse"))
        if coins < 70:
            return "refused"
        await session.execute(text("UPDATE purse SET coins = :coins"), {"coins": coins - 70})
        await session.commit()
        return "paid"

    @invariant
    async def paid_once(self, outcome):
        assert [each.value for each in outcome.results.values()].count("paid") == 1


@dataclass(frozen=True)
class SpentOnce(SpentTwice):
    """Right: one statement."""

    @actor(names=("alice", "bob"))
    async def pay(self, session):
        paid = await session.execute(text("UPDATE purse SET coins = coins - 70 WHERE coins >= 70"))
        await session.commit()
        return "paid" if paid.rowcount else "refused"


made = MetaData()
counter = Table("counter", made, Column("id", Integer, primary_key=True), Column("of", Integer))


@dataclass(frozen=True)
class MadeTwice(Scenario):
    """Wrong: create_all looks first, and another makes the table in between."""

    @actor(names=("a", "b"))
    async def start(self, connection):
        await connection.run_sync(made.create_all)
        await connection.execute(insert(counter).values(of=1))
        await connection.commit()


@dataclass(frozen=True)
class MadeOnce(MadeTwice):
    """Right: one at a time."""

    @actor(names=("a", "b"))
    async def start(self, connection):
        await connection.execute(text("SELECT pg_advisory_xact_lock(1)"))
        await connection.run_sync(made.create_all)
        await connection.execute(insert(counter).values(of=1))
        await connection.commit()

    @invariant
    async def both_counted(self, connection):
        assert await connection.scalar(select(func.count()).select_from(counter)) == 2
