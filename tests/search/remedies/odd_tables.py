"""Programs over tables that are not plain: a schema of their own, quoted names, keys of two columns, a view."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from sqlalchemy import (
    Column,
    Date,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    event,
    func,
    insert,
    select,
)
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateSchema

from lab import Outcome, Scenario, actor, invariant

PAIR = ("ann", "ben")


def with_schema(metadata: MetaData) -> MetaData:
    """Metadata whose schema is made before its tables."""
    event.listen(metadata, "before_create", CreateSchema(metadata.schema or "", if_not_exists=True))
    return metadata


class Base(DeclarativeBase):
    """Stock of a shop, by place and day, in a schema and under names that need quotes."""

    metadata = with_schema(MetaData(schema="The Shop"))


class Stock(Base):
    __tablename__ = "Stock Level"
    place: Mapped[str] = mapped_column("Place", primary_key=True)
    day: Mapped[dt.date] = mapped_column("Day", Date, primary_key=True)
    amount: Mapped[int] = mapped_column("Amount of it")


DAY = dt.date(2024, 2, 29)


class Quoted(Scenario):
    """Two rows of stock."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Stock(place=each, day=DAY, amount=10) for each in ("a'b", "c")])

    @invariant
    async def nothing_is_lost(self, session: AsyncSession, outcome: Outcome) -> None:
        total = await session.scalar(select(func.sum(Stock.amount)))
        taken = sum(result.value for result in outcome.results.values() if isinstance(result.value, int))
        assert total == 20 - taken, f"{total} are left, {taken} were taken"


class LostByKeyOfTwo(Quoted):
    """Read, modify, write of one row."""

    @actor(names=PAIR)
    async def take(self, session: AsyncSession) -> int:
        stock = await session.get_one(Stock, ("a'b", DAY))
        stock.amount -= 1
        await session.commit()
        return 1


class DeadlockByKeyOfTwo(Quoted):
    """Two rows in opposite orders."""

    @actor(names=PAIR)
    async def take(self, session: AsyncSession, name: str) -> int:
        for place in ("a'b", "c") if name == "ann" else ("c", "a'b"):
            stock = await session.get_one(Stock, (place, DAY), with_for_update=True)
            stock.amount -= 1
            await session.flush()
        await session.commit()
        return 2

    @invariant
    async def nobody_is_refused(self, outcome: Outcome) -> None:
        assert not [name for name, result in outcome.results.items() if result.aborted], "a request was refused"


class SkewByKeyOfTwo(Quoted):
    """Each looks at the sum of both rows, and takes from one of them."""

    @actor(names=PAIR)
    async def take(self, session: AsyncSession, name: str) -> int:
        total = await session.scalar(select(func.sum(Stock.amount)).where(Stock.day == DAY)) or 0
        taken = 0
        if total >= 15:
            taken = 15
            stock = await session.get_one(Stock, ("a'b" if name == "ann" else "c", DAY))
            stock.amount -= taken
        await session.commit()
        return taken

    @invariant
    async def there_is_no_debt(self, session: AsyncSession) -> None:
        total = await session.scalar(select(func.sum(Stock.amount)))
        assert total >= 0, f"{total} are left"


ODD = with_schema(MetaData(schema="odd"))
HALL = Table(
    "Hall",
    ODD,
    Column("house", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("size", Numeric),
)
SEAT = Table(
    "seat",
    ODD,
    Column("id", Integer, primary_key=True),
    Column("in_house", Integer),
    Column("in_number", Integer),
    Column("taken by", String),
    ForeignKeyConstraint(["in_house", "in_number"], ["odd.Hall.house", "odd.Hall.number"]),
)
BIG = Table(
    "big_hall", MetaData(), Column("house", Integer), Column("number", Integer), Column("size", Numeric), schema="odd"
)


class Halls(Scenario):
    """One hall."""

    metadata = ODD

    async def setup(self, session: AsyncSession) -> None:
        await session.execute(insert(HALL).values(house=1, number=2, size=Decimal("1.50")))


class SeatTakenTwice(Halls):
    """Looks for a seat in the hall and takes it, by a foreign key of two columns."""

    @actor(names=PAIR)
    async def take(self, session: AsyncSession, name: str) -> None:
        mine = select(SEAT.c.id).where(SEAT.c.in_house == 1, SEAT.c.in_number == 2)
        if (await session.execute(mine)).first() is None:
            await session.execute(insert(SEAT).values({"in_house": 1, "in_number": 2, "taken by": name}))
        await session.commit()

    @invariant
    async def one_seat(self, session: AsyncSession) -> None:
        found = await session.scalar(select(func.count()).select_from(SEAT))
        assert found <= 1, f"{found} seats are taken"


class LostThroughAView(Halls):
    """Reads a view that PostgreSQL lets be updated, and writes it back."""

    async def setup(self, session: AsyncSession) -> None:
        await session.execute(sql('CREATE VIEW odd.big_hall AS SELECT * FROM odd."Hall" WHERE size > 1'))
        await super().setup(session)

    @actor(names=PAIR)
    async def build(self, session: AsyncSession) -> None:
        size = await session.scalar(select(BIG.c.size).where(BIG.c.number == 2)) or Decimal(0)
        await session.execute(BIG.update().where(BIG.c.number == 2).values(size=size + Decimal("0.5")))
        await session.commit()

    @invariant
    async def both_built(self, session: AsyncSession) -> None:
        size = await session.scalar(select(HALL.c.size))
        assert size == Decimal("2.5"), f"the hall is {size} large"
