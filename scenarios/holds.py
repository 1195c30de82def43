"""A seat that is held for a moment: whatever ends the request in between, its hold is given back."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import anyio
from sqlalchemy import MetaData, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, claim, invariant, planted_bug

__all__ = [
    "ConnectionForEachTransaction",
    "HeldOverOneConnection",
    "HeldWhilePoolIsFull",
    "HeldWithinAScope",
    "OnlyErrorsOfTheDriver",
    "ReleasedInACancelledScope",
]

Sessions = async_sessionmaker[AsyncSession]


class Hall(DeclarativeBase):
    """A table by itself."""

    metadata = MetaData()


class Seat(Hall):
    """A seat that is free, held or sold."""

    __tablename__ = "hall_seat"

    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    holder: Mapped[str | None]


class Seats(Scenario):
    """A seat for which two come."""

    metadata = Hall.metadata

    async def setup(self, session: AsyncSession) -> None:
        """A free seat."""
        session.add(Seat(id=1, state="free", holder=None))

    @invariant
    async def no_hold_stays(self, session: AsyncSession) -> None:
        """The seat is free or sold."""
        seat = await session.get_one(Seat, 1)
        assert seat.state != "held", f"the seat is held by {seat.holder}, who is gone"


@claim(
    title="A hold is given back when the pool has no connection to go on with",
    acid="Consistency",
    critical="the pool is full on the day of the great sale, and each request that it ends would block a seat for good",
    test="tests/database/test_hold_invariants.py::test_full_pool",
)
@dataclass(frozen=True)
class HeldWhilePoolIsFull(Seats):
    """Two want one seat: who finds it free holds it, and buys it in a second transaction; the pool may be full."""

    faults = ("full-pool",)
    errors: ClassVar[tuple[type[BaseException], ...]] = (BaseException,)
    """What ends a purchase so that the hold is given back; a cancellation is no Exception."""

    async def hold(self, sessions: Sessions, name: str) -> bool:
        """Hold the seat if it is free."""
        async with sessions.begin() as session:
            seat = await session.get_one(Seat, 1, with_for_update=True)
            if seat.state == "free":
                seat.state, seat.holder = "held", name
            return seat.holder == name

    async def give_back(self, sessions: Sessions, name: str) -> None:
        """Give up what is held and not bought."""
        mine = update(Seat).where(Seat.holder == name, Seat.state == "held")
        async with sessions.begin() as session:
            await session.execute(mine.values(state="free", holder=None))

    async def request(self, sessions: Sessions, name: str) -> None:
        """Hold the seat and buy it, or give it back."""
        try:
            if await self.hold(sessions, name):
                async with sessions.begin() as session:
                    await session.execute(update(Seat).where(Seat.holder == name).values(state="sold"))
        except self.errors:
            await self.give_back(sessions, name)
            raise

    @actor(names=("alice", "bob"))
    async def buy(self, sessions: Sessions, name: str) -> None:
        """Holds the seat, and buys it."""
        await self.request(sessions, name)


@planted_bug(
    of=HeldWhilePoolIsFull,
    token="lab1:scenarios.holds:OnlyErrorsOfTheDriver::-:bob3.full-pool@bob-1.bob.alice2:pmyqb:invariant.bca7:rt5jov",
    cause="DBAPIError is what the driver raises; a full pool raises SQLAlchemy's TimeoutError, which is none",
    fix="give back whatever the error is",
)
@dataclass(frozen=True)
class OnlyErrorsOfTheDriver(HeldWhilePoolIsFull):
    """Gives back what was held where the driver raised an error."""

    errors = (DBAPIError,)


@claim(
    title="A request takes its connection before it holds anything",
    acid="Consistency",
    critical="a new instance of the service takes the last connections, and the requests of all others end half-way",
    test="tests/database/test_hold_invariants.py::test_too_many_connections",
)
@dataclass(frozen=True)
class HeldOverOneConnection(Seats):
    """Two want one seat: who finds it free holds it, and buys it in a second transaction of the same connection.

    Nothing is promised where the request is cut off between the two, or loses its connection: then the seat stays held.
    """

    faults = ("too-many-connections",)

    @actor(names=("alice", "bob"))
    async def buy(self, engine: AsyncEngine, name: str) -> None:
        """Holds the seat, and buys it."""
        async with engine.connect() as connection:
            free = update(Seat).where(Seat.id == 1, Seat.state == "free")
            await connection.execute(free.values(state="held", holder=name))
            await connection.commit()
            await connection.execute(update(Seat).where(Seat.holder == name).values(state="sold"))
            await connection.commit()


@planted_bug(
    of=HeldOverOneConnection,
    token="lab1:scenarios.holds:ConnectionForEachTransaction::-:bob2.too-many-connections@bob-1.bob.alice4:z44d4:invariant.bca7:qsw655",
    cause="each transaction takes a connection of its own, and between the two there may be none left",
    fix="take one connection for both, or let a hold end by itself",
)
@dataclass(frozen=True)
class ConnectionForEachTransaction(HeldOverOneConnection):
    """Gives the connection back in between."""

    @actor(names=("alice", "bob"))
    async def buy(self, engine: AsyncEngine, name: str) -> None:
        """Holds the seat, and buys it."""
        async with engine.begin() as connection:
            free = update(Seat).where(Seat.id == 1, Seat.state == "free")
            await connection.execute(free.values(state="held", holder=name))
        async with engine.begin() as connection:
            await connection.execute(update(Seat).where(Seat.holder == name).values(state="sold"))


@claim(
    title="A hold is given back when the scope of the request is cancelled",
    acid="Consistency",
    critical="in a cancelled scope of anyio every await is cancelled, also those of the clean-up",
    test="tests/database/test_hold_invariants.py::test_cancelled_scope",
)
@dataclass(frozen=True)
class HeldWithinAScope(HeldWhilePoolIsFull):
    """The same purchases within a scope of anyio, as a web framework makes one for a request; it may be cancelled."""

    faults = ("cancel-scope",)
    errors = (BaseException,)
    shield: ClassVar[bool] = True

    async def give_back(self, sessions: Sessions, name: str) -> None:
        """Give up what is held and not bought, whatever is cancelled meanwhile."""
        with anyio.CancelScope(shield=True) if self.shield else nullcontext():
            await super().give_back(sessions, name)

    @actor(names=("alice", "bob"))
    async def buy(self, sessions: Sessions, name: str) -> None:
        """Holds the seat, and buys it."""
        with anyio.CancelScope():
            await self.request(sessions, name)


@planted_bug(
    of=HeldWithinAScope,
    token="lab1:scenarios.holds:ReleasedInACancelledScope::-:bob3.cancel-scope@bob-1.alice2:qdb3o:invariant.bca7:2a6fml",
    cause="what gives back is awaited in the cancelled scope, so it is cancelled at once",
    fix="clean up in a scope with shield=True",
)
@dataclass(frozen=True)
class ReleasedInACancelledScope(HeldWithinAScope):
    """Gives back in the scope of the request."""

    shield = False
