"""Generated ids may differ by who drew them, and nothing else may: right and wrong programs, on a real server."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.kit import Order
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor
from lab.model.trace import ActionKind
from lab.schedulers import make_scheduler

METADATA = MetaData()
TICKET = Table("ticket", METADATA, Column("id", Integer, primary_key=True), Column("owner", Text))
PART = Table(
    "part",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("ticket_id", ForeignKey("ticket.id")),
    Column("size", Integer),
)
STOCK = Table("stock", METADATA, Column("id", Integer, primary_key=True, autoincrement=False), Column("n", Integer))
NOTE = Table(
    "note",
    METADATA,
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("ticket", Integer),
    Column("code", Text),
    Column("document", JSONB),
)
EXECUTIONS = 60


class Shelves(DeclarativeBase):
    pass


class Shelf(Shelves):
    __tablename__ = "shelf"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int]


class Numbered(Scenario):
    """The row lock on stock 1 decides the order; who draws its ticket first need not follow it."""

    metadata = METADATA

    async def setup(self, session):
        await session.execute(insert(STOCK).values(id=1, n=100))

    @actor(names=("ann", "ben"))
    async def go(self, session, name):
        number = await session.scalar(insert(TICKET).values(owner=name).returning(TICKET.c.id))
        changed = update(STOCK).where(STOCK.c.id == 1).values(n=STOCK.c.n + 1).returning(STOCK.c.n)
        place = await session.scalar(changed)
        value = await self.then(session, number, place)
        await session.commit()
        return value

    async def then(self, session, number, place):
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Numbered):
    """Returns the constant 1 beside an id that may be 1."""

    async def then(self, session, number, place):
        return number, "quantity", 1


@dataclass(frozen=True)
class InPlainPlaces(Numbered):
    """The id is kept in a plain column, in a padded code and in a document."""

    async def then(self, session, number, place):
        document = {"ticket": number, "tags": [f"t-{number}"]}
        row = {"place": place, "ticket": number, "code": f"ORD{number:05d}/x", "document": document}
        await session.execute(insert(NOTE).values(row))


@dataclass(frozen=True)
class Parts(Numbered):
    """Rows of its own lead to the ticket by a foreign key; the parts' sequence runs differently."""

    async def then(self, session, number, place):
        rows = [{"ticket_id": number, "size": size} for size in (place, place)]
        await session.execute(insert(PART).values(rows))
        return [number, {"parts": len(rows)}]


@dataclass(frozen=True)
class Withdrawn(Numbered):
    """Returns the id of a row that it deleted."""

    async def then(self, session, number, place):
        await session.execute(TICKET.delete().where(TICKET.c.id == number))
        return number


@dataclass(frozen=True)
class WrongTicket(Numbered):
    """Whoever comes second notes the other's ticket instead of its own."""

    async def then(self, session, number, place):
        other = await session.scalar(select(NOTE.c.ticket))
        row = {"place": place, "ticket": other or number, "code": "", "document": None}
        await session.execute(insert(NOTE).values(row))
        return (await session.scalars(select(TICKET.c.owner).where(TICKET.c.id == (other or number)))).all()


@dataclass(frozen=True)
class SkewBehindIds(Scenario):
    """Ben may see one row before ann's change and one after it, and the two values look like ids that it drew."""

    metadata = METADATA

    async def setup(self, session):
        await session.execute(insert(STOCK), [{"id": 1, "n": 1}, {"id": 2, "n": 1}])

    @actor
    async def ann(self, session):
        await session.execute(update(STOCK).values(n=2))
        await session.commit()

    @actor
    async def ben(self, session):
        for owner in "xy":
            await session.scalar(insert(TICKET).values(owner=owner).returning(TICKET.c.id))
        seen = [await session.scalar(select(STOCK.c.n).where(STOCK.c.id == number)) for number in (1, 2)]
        await session.commit()
        return seen


@dataclass(frozen=True)
class ReturnsObjects(Scenario):
    """The same skew in objects that are returned as they were loaded."""

    metadata = Shelves.metadata

    async def setup(self, session):
        session.add_all([Shelf(id=1, n=0), Shelf(id=2, n=0)])

    @actor
    async def ann(self, session):
        await session.execute(update(Shelf).values(n=7))
        await session.commit()

    @actor
    async def ben(self, session):
        return {"found": [await session.get(Shelf, 1), await session.get(Shelf, 2)]}


async def executions(explorer, scenario, number=EXECUTIONS):
    scheduler = make_scheduler("random", 3)
    for execution in range(number):
        yield await explorer.run(scenario, scheduler, execution=execution, checks=("serial",))


@pytest.mark.parametrize("cls", [Constant, InPlainPlaces, Parts, Withdrawn], ids=lambda cls: cls.__name__)
async def test_who_draws_an_id_first_is_no_difference(explorer, cls):
    crossed = 0
    async for record in executions(explorer, cls()):
        assert not record.failed, record.findings[0].message
        assert record.serial is not None
        assert not record.serial.obstacle
        assert "ids of ticket" in record.serial.normalised
        drew = next(step.actor for step in record.trace if step.action.text.startswith("INSERT INTO ticket"))
        first = next(step.actor for step in record.trace if step.action.kind is ActionKind.COMMIT)
        crossed += drew != first
    assert crossed > 5


async def test_the_ticket_of_another_is_a_difference_although_it_is_an_id(explorer):
    failed = [record async for record in executions(explorer, WrongTicket(), 20) if record.failed]
    assert not failed  # every order is a serial one: whoever comes second sees the first's note
    record = await explorer.run(SkewBehindIds(), Order("ben ben ben ann ann ben ben"), checks=("serial",))
    assert record.outcome.results["ben"].value == [1, 2]
    assert record.failed
    assert record.findings[0].message.startswith("ben returned [1, 2]; after ")


async def test_objects_are_compared_by_what_they_had_loaded(explorer):
    record = await explorer.run(ReturnsObjects(), Order("ben ann ann ben"), checks=("serial",))
    assert record.failed
    assert "ben returned {'found': [Shelf(id=1, n=0), Shelf(id=2, n=7)]}" in record.findings[0].message
    assert not (await explorer.run(ReturnsObjects(), Order("ben ben ann ann"), checks=("serial",))).failed


async def test_what_cannot_be_described_is_named(explorer):
    @dataclass(frozen=True)
    class ReturnsAGenerator(ReturnsObjects):
        @actor
        async def ben(self, session):
            await session.get(Shelf, 1)
            return (number for number in range(3))

    record = await explorer.run(ReturnsAGenerator(), Order("ben ann ann"), checks=("serial",))
    assert not record.failed
    assert "results of type generator" in record.serial.normalised
