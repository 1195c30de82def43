"""Programs whose usual fix is known, one for each: what the remedies are held against."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from helpers.kit import Account, Bank, add
from lab import Scenario, actor, invariant

SHOP = MetaData()
ROOM = Table("room", SHOP, Column("id", Integer, primary_key=True, autoincrement=False), Column("name", String))
SEAT = Table(
    "seat",
    SHOP,
    Column("id", Integer, primary_key=True),
    Column("room_id", ForeignKey("room.id")),
    Column("row", Integer),
    Column("taken_by", String),
)
LOGIN = Table(
    "login", SHOP, Column("id", Integer, primary_key=True), Column("email", String), UniqueConstraint("email")
)


@dataclass(frozen=True)
class Shop(Scenario):
    """One room, and who is after it."""

    metadata = SHOP

    async def setup(self, session: AsyncSession) -> None:
        await session.execute(insert(ROOM).values(id=1, name="large"))


class Seats(Shop):
    """At most one seat in the room; nothing but the code says so."""

    @actor(names=("ann", "ben"))
    async def take(self, session: AsyncSession, name: str) -> None:
        if not await session.scalar(select(func.count()).select_from(SEAT).where(SEAT.c.room_id == 1)):
            await session.execute(insert(SEAT).values(room_id=1, row=1, taken_by=name))
        await session.commit()

    @invariant
    async def one_seat(self, session: AsyncSession) -> None:
        assert await session.scalar(select(func.count()).select_from(SEAT)) <= 1


class Logins(Shop):
    """Looks for a login and makes one; a unique key refuses the second, which nobody expects."""

    @actor(names=("ann", "ben"))
    async def log_in(self, session: AsyncSession) -> None:
        if not (await session.execute(select(LOGIN.c.id).where(LOGIN.c.email == "x"))).all():
            await session.execute(insert(LOGIN).values(email="x"))
        await session.commit()


class Orphans(Shop):
    """A seat in a room that is there when it is looked for, and deleted meanwhile."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        if (await session.execute(select(ROOM.c.id).where(ROOM.c.id == 1))).all():
            await session.execute(insert(SEAT).values(room_id=1, row=1, taken_by="ann"))
        await session.commit()

    @actor
    async def ben(self, session: AsyncSession) -> None:
        if not (await session.execute(select(SEAT.c.id).where(SEAT.c.room_id == 1))).all():
            await session.execute(ROOM.delete().where(ROOM.c.id == 1))
        await session.commit()


class Renamed(Shop):
    """Overwrites a name: text is not added to."""

    @actor(names=("ann", "ben"))
    async def rename(self, session: AsyncSession, name: str) -> None:
        old = await session.scalar(select(ROOM.c.name).where(ROOM.c.id == 1))
        await session.execute(ROOM.update().where(ROOM.c.id == 1).values(name=f"{old} {name}"))
        await session.commit()

    @invariant
    async def both_names(self, session: AsyncSession) -> None:
        assert await session.scalar(select(func.length(ROOM.c.name))) == len("large ann ben")


class CheckedApart(Bank):
    """Looks in one transaction, and writes in the next."""

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession) -> None:
        enough = (await session.scalar(select(Account.balance).where(Account.id == 1)) or 0) > 99
        await session.commit()
        if enough:
            await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance - 60))
        await session.commit()


class Picked(Bank):
    """Two workers pick the first account."""

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession) -> None:
        first = "(SELECT id FROM account WHERE balance < 101 ORDER BY id LIMIT 1)"
        await session.execute(text(f"UPDATE account SET balance = balance + 1 WHERE id IN {first}"))
        await session.commit()


class Unlocked(Bank):
    """Gives an advisory lock back before it commits."""

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession) -> None:
        await session.execute(text("SELECT pg_advisory_lock(7)"))
        await session.execute(add(1))
        await session.execute(text("SELECT pg_advisory_unlock(7)"))
        await session.commit()


class OneAdvisoryLock(Bank):
    """Takes one advisory lock, and two rows in opposite orders."""

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession, name: str) -> None:
        await session.execute(text("SELECT pg_advisory_xact_lock_shared(7)"))
        for account in (1, 2) if name == "ann" else (2, 1):
            await session.execute(add(account))
        await session.commit()


class Referred(Shop):
    """Locks a room that others refer to, each after its own seat: FOR UPDATE where a weaker lock is enough."""

    async def setup(self, session: AsyncSession) -> None:
        await session.execute(insert(ROOM), [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])

    @actor(names=("ann", "ben"))
    async def take(self, session: AsyncSession, name: str) -> None:
        mine, other = (1, 2) if name == "ann" else (2, 1)
        await session.execute(insert(SEAT).values(room_id=mine, row=1, taken_by=name))
        await session.execute(select(ROOM.c.id).where(ROOM.c.id == other).with_for_update())
        await session.commit()
