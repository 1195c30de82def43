"""Columns, tables and schemas as applications use them: the lab finds the race over each, and its absence."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import pytest
from helpers.usage import EXECUTIONS, Counting, told_apart
from sqlalchemy import (
    DDL,
    Column,
    Computed,
    Enum,
    Identity,
    Integer,
    MetaData,
    String,
    Table,
    event,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import actor, invariant
from lab.model.outcome import Outcome
from lab.search.hunt import Hunt


class Base(DeclarativeBase):
    """Tables of the schema `public`."""


class Stage(enum.Enum):
    """Where an order stands."""

    NEW = "new"
    PAID = "paid"
    CANCELLED = "cancelled"


class Document(Base):
    __tablename__ = "document"
    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    body: Mapped[dict[str, int]] = mapped_column(MutableDict.as_mutable(JSONB))
    tags: Mapped[list[str]] = mapped_column(MutableList.as_mutable(ARRAY(String)))
    stage: Mapped[Stage] = mapped_column(Enum(Stage, name="stage"))
    net: Mapped[int]
    gross: Mapped[int] = mapped_column(Computed("net * 2"))


class Reading(Base):
    """Partitioned by its day."""

    __tablename__ = "reading"
    __table_args__ = ({"postgresql_partition_by": "RANGE (day)"},)
    id: Mapped[int] = mapped_column(primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int]


class Bill(Base):
    __tablename__ = "bill"
    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int]


class Audit(Base):
    """Filled by a trigger on `bill`, which keeps the sum of all bills in a row of its own."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int]


for number in (0, 1):
    event.listen(
        Reading.__table__,
        "after_create",
        DDL(f"CREATE TABLE reading_{number} PARTITION OF reading FOR VALUES FROM ({number}0) TO ({number + 1}0)"),
    )
event.listen(
    Base.metadata,
    "after_create",
    DDL("CREATE VIEW open_bill AS SELECT id, total FROM bill WHERE total < 1000"),
)
event.listen(Base.metadata, "before_drop", DDL("DROP VIEW IF EXISTS open_bill"))
event.listen(
    Base.metadata,
    "after_create",
    DDL("""
CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE before integer;
BEGIN
  SELECT total INTO before FROM audit WHERE id = 1;
  UPDATE audit SET total = before + NEW.total WHERE id = 1;
  RETURN NEW;
END $$;
"""),
)
event.listen(
    Base.metadata,
    "after_create",
    DDL("CREATE TRIGGER audited AFTER INSERT ON bill FOR EACH ROW EXECUTE FUNCTION audited()"),
)
event.listen(Base.metadata, "before_drop", DDL("DROP FUNCTION IF EXISTS audited CASCADE"))


@dataclass(frozen=True)
class Documents(Counting):
    """One document."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add(Document(body={"hits": 0}, tags=[], stage=Stage.NEW, net=0))

    async def document(self, session: AsyncSession) -> Document:
        return await session.get_one(Document, 1, with_for_update=self.locked)


@dataclass(frozen=True)
class InJson(Documents):
    """A counter within a JSON document."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        document = await self.document(session)
        document.body["hits"] += 1
        await session.commit()

    @invariant
    async def both_hits_arrive(self, session: AsyncSession) -> None:
        assert await session.scalar(select(Document.body)) == {"hits": 2}


@dataclass(frozen=True)
class InArray(Documents):
    """Tags that are appended to an array."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession, name: str) -> None:
        document = await self.document(session)
        document.tags.append(name)
        await session.commit()

    @invariant
    async def both_tags_arrive(self, session: AsyncSession) -> None:
        assert sorted(await session.scalar(select(Document.tags)) or ()) == ["alice", "bob"]


@dataclass(frozen=True)
class InEnum(Documents):
    """A state machine: a new order is paid or cancelled, once."""

    async def move(self, session: AsyncSession, stage: Stage) -> bool:
        document = await self.document(session)
        if moves := document.stage is Stage.NEW:
            document.stage = stage
        await session.commit()
        return moves

    @actor
    async def payer(self, session: AsyncSession) -> bool:
        return await self.move(session, Stage.PAID)

    @actor
    async def canceller(self, session: AsyncSession) -> bool:
        return await self.move(session, Stage.CANCELLED)

    @invariant
    async def it_moves_once(self, outcome: Outcome) -> None:
        assert [each.value for each in outcome.results.values()].count(True) == 1


@dataclass(frozen=True)
class InGenerated(Documents):
    """A column that the server computes, read to write the one that it is computed from."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        gross = select(Document.gross).where(Document.id == 1)
        found = await session.scalar(gross.with_for_update() if self.locked else gross)
        await session.execute(update(Document).where(Document.id == 1).values(net=found // 2 + 1))
        await session.commit()

    @invariant
    async def both_arrive(self, session: AsyncSession) -> None:
        assert await session.scalar(select(Document.gross)) == 4


@dataclass(frozen=True)
class InPartition(Counting):
    """A row of a partitioned table."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Reading(id=1, day=3, total=0), Reading(id=2, day=13, total=0)])

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        reading = await session.get_one(Reading, (2, 13), with_for_update=self.locked)
        reading.total += 1
        await session.commit()

    @invariant
    async def both_arrive(self, session: AsyncSession) -> None:
        assert await session.scalar(select(func.sum(Reading.total))) == 2


@dataclass(frozen=True)
class ThroughView(Counting):
    """A row that is read and written through a view."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Bill(id=1, total=10), Audit(id=1, total=0)])

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        lock = " FOR UPDATE" if self.locked else ""
        total = await session.scalar(text(f"SELECT total FROM open_bill WHERE id = 1{lock}"))
        await session.execute(text("UPDATE open_bill SET total = :total WHERE id = 1"), {"total": total + 1})
        await session.commit()

    @invariant
    async def both_arrive(self, session: AsyncSession) -> None:
        assert await session.scalar(select(Bill.total)) == 12


@dataclass(frozen=True)
class InTrigger(Counting):
    """The race is in a trigger that no line of Python shows: it reads a sum and writes it."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add(Audit(id=1, total=0))

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession, name: str) -> None:
        if self.locked:
            await session.get_one(Audit, 1, with_for_update=True)
        session.add(Bill(id=len(name), total=1))
        await session.commit()

    @invariant
    async def the_sum_is_right(self, session: AsyncSession) -> None:
        assert await session.scalar(select(Audit.total)) == 2


TENANTS = MetaData()
STOCK, OTHER = (
    Table("stock", TENANTS, Column("id", Integer, primary_key=True), Column("pieces", Integer), schema=schema)
    for schema in ("north", "south")
)
ANYWHERE = Table("stock", MetaData(), Column("id", Integer, primary_key=True), Column("pieces", Integer))
"""As an application with a schema for each tenant declares it: which one is meant is said at run time."""


@dataclass(frozen=True)
class Tenants(Counting):
    """Two tenants have a table of the same name, each in a schema of its own."""

    metadata = TENANTS

    async def setup(self, session: AsyncSession) -> None:
        for stock in (STOCK, OTHER):
            await session.execute(stock.insert().values(id=1, pieces=0))

    async def add(self, session: AsyncSession, stock: Table, **options: object) -> None:
        pieces = select(stock.c.pieces).where(stock.c.id == 1)
        found = await session.scalar(pieces.with_for_update() if self.locked else pieces, **options)
        await session.execute(update(stock).where(stock.c.id == 1).values(pieces=found + 1), **options)

    @invariant
    async def both_arrive(self, session: AsyncSession) -> None:
        assert await session.scalar(select(OTHER.c.pieces)) == 2


@dataclass(frozen=True)
class BySchema(Tenants):
    """The schema is part of the table's name."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await self.add(session, OTHER)
        await session.commit()


@dataclass(frozen=True)
class ByTranslation(Tenants):
    """The schema is put in by `schema_translate_map`."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await self.add(session, ANYWHERE, execution_options={"schema_translate_map": {None: "south"}})
        await session.commit()


@dataclass(frozen=True)
class BySearchPath(Tenants):
    """The schema is the transaction's search_path."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await session.execute(text("SET LOCAL search_path TO south"))
        await self.add(session, ANYWHERE)
        await session.commit()


@dataclass(frozen=True)
class Apart(Tenants):
    """Each request is of a tenant of its own: the same table's name and key, and nothing to race for."""

    @actor
    async def alice(self, session: AsyncSession) -> None:
        await self.add(session, STOCK)
        await session.commit()

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await self.add(session, OTHER)
        await session.commit()

    @invariant
    async def both_arrive(self, session: AsyncSession) -> None:
        assert await session.scalar(select(STOCK.c.pieces)) == 1
        assert await session.scalar(select(OTHER.c.pieces)) == 1


FOLLOWED = [InJson, InArray, InEnum, InGenerated, InPartition, ThroughView, BySchema]
NOT_FOLLOWED = [InTrigger, ByTranslation, BySearchPath]


@pytest.mark.parametrize("scenario", FOLLOWED)
async def test_a_lost_update_is_found_over_each_kind_of_column_and_table(explorer, scenario):
    """Found, named P4, replayed; with the row locked first in the same shape it passes."""
    await told_apart(explorer, scenario())


@pytest.mark.parametrize("scenario", NOT_FOLLOWED)
async def test_a_race_whose_reads_are_not_known_is_found_and_the_statement_named(explorer, scenario):
    """A trigger's own reads, and tables whose schema is said at run time: the report says which reads it misses."""
    assert "reads that were not followed" in await told_apart(explorer, scenario(), anomaly=None)


async def test_rows_of_two_tenants_are_two_rows(explorer):
    """One order stands for all: tables of one name in two schemas do not conflict."""
    result = await Hunt.of(Apart(), scheduler="dpor", executions=EXECUTIONS).run(explorer)
    assert not result.failures
    assert result.exhausted
