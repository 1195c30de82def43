"""Bookings of a room: no two of them overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from lab import Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Booking, House, Room

__all__ = ["BookedWithoutLock", "Bookings", "LocksTheOverlapThatIsNotThere", "LooksByAnOlderSnapshot", "RoomTakenError"]


class RoomTakenError(Exception):
    """The room is booked for some of these hours."""


@claim(
    title="No two bookings of a room overlap",
    acid="Consistency",
    critical="two guests stand before one door",
    test="tests/database/test_database_invariants.py::test_bookings_do_not_overlap",
)
@dataclass(frozen=True)
class Bookings(Scenario):
    """Two guests ask for one room, from 9 to 11 and from 10 to 12; one of them is refused.

    Each locks the room's row before looking for overlapping bookings. At REPEATABLE READ that would not be enough.
    """

    overlap: int = 1

    metadata = House.metadata
    allows = (RoomTakenError,)

    async def setup(self, session: AsyncSession) -> None:
        """One room."""
        session.add(Room(id=1))

    async def make_sure_it_is_free(self, session: AsyncSession, starts: int, ends: int) -> None:
        """Raise `RoomTakenError` if a booking overlaps."""
        await session.get_one(Room, 1, with_for_update=True)
        if (await session.scalars(overlapping(starts, ends))).first() is not None:
            raise RoomTakenError

    async def book(self, session: AsyncSession, starts: int, ends: int) -> None:
        """Book the room, if it is free."""
        async with session.begin():
            await self.make_sure_it_is_free(session, starts, ends)
            session.add(Booking(room_id=1, starts=starts, ends=ends))

    @actor
    async def early(self, session: AsyncSession) -> None:
        """Books from 9 to 11."""
        await self.book(session, 9, 11)

    @actor
    async def late(self, session: AsyncSession) -> None:
        """Books two hours, beginning as long before 11 as the overlap says."""
        await self.book(session, 11 - self.overlap, 13 - self.overlap)

    @invariant
    async def no_two_bookings_overlap(self, session: AsyncSession) -> None:
        """At any hour the room belongs to one guest at most."""
        one, other = aliased(Booking), aliased(Booking)
        clash = select(one.starts, other.starts).where(
            one.id < other.id, one.room_id == other.room_id, one.starts < other.ends, other.starts < one.ends
        )
        found = (await session.execute(clash)).first()
        assert found is None, f"bookings from {found[0]} and from {found[1]} overlap"


def overlapping(starts: int, ends: int) -> Select[Any]:
    """Finds the bookings of the room that overlap."""
    return select(Booking).where(Booking.room_id == 1, Booking.starts < ends, Booking.ends > starts)


@planted_bug(
    of=Bookings,
    token="lab1:scenarios.booking:BookedWithoutLock::-:early.late3.early2:5wdmz:wtwvdm",
    cause="both guests look for overlapping bookings before either of them has committed one",
    fix="lock the room's row before looking",
)
@dataclass(frozen=True)
class BookedWithoutLock(Bookings):
    """Looks for overlapping bookings and inserts another one if there is none."""

    async def make_sure_it_is_free(self, session: AsyncSession, starts: int, ends: int) -> None:
        """Look without a lock."""
        if (await session.scalars(overlapping(starts, ends))).first() is not None:
            raise RoomTakenError


@planted_bug(
    of=Bookings,
    token="lab1:scenarios.booking:LooksByAnOlderSnapshot::-:early.late.early3.late4:fg2eu:ymaw4u",
    cause="at REPEATABLE READ the snapshot is older than the wait for the lock, so what came in meanwhile is not seen",
    fix="look at READ COMMITTED, where the statement after the lock sees it, or run at SERIALIZABLE",
)
@dataclass(frozen=True)
class LooksByAnOlderSnapshot(Bookings):
    """The same code, lock included, at a higher level: the lock works, but what is read under it is out of date."""

    isolation = "REPEATABLE READ"


@planted_bug(
    of=Bookings,
    token="lab1:scenarios.booking:LocksTheOverlapThatIsNotThere::-:early.late3.early2:5wdmz:u4hoan",
    cause="FOR UPDATE locks the rows that it finds; where there is no overlapping booking yet, it locks nothing",
    fix="lock a row that is there: the room's",
)
@dataclass(frozen=True)
class LocksTheOverlapThatIsNotThere(Bookings):
    """Looks for overlapping bookings FOR UPDATE, as if that kept others from inserting one."""

    async def make_sure_it_is_free(self, session: AsyncSession, starts: int, ends: int) -> None:
        """Lock what overlaps, if anything does."""
        if (await session.scalars(overlapping(starts, ends).with_for_update())).first() is not None:
            raise RoomTakenError
