"""What a request leaves behind: connections that nobody gives back, locks that outlive their transaction."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import MetaData, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug

__all__ = [
    "BilledUnderALock",
    "ClosedAfterSuccess",
    "ClosedInAnyCase",
    "ConfirmedBySessionOfItsOwn",
    "ConfirmedBySessionOfTheRequest",
    "ReleasedAfterBilling",
]

Sessions = async_sessionmaker[AsyncSession]
BILLING = 7
"""The key of the lock."""
_RUNNING: set[asyncio.Task[None]] = set()
"""Python forgets a task that nobody refers to."""


class Handed(DeclarativeBase):
    """Tables by themselves."""

    metadata = MetaData()


class Handle(Handed):
    """The name by which somebody is known."""

    __tablename__ = "handle"

    name: Mapped[str] = mapped_column(primary_key=True)


class Bill(Handed):
    """The bill of a month."""

    __tablename__ = "bill"

    id: Mapped[int] = mapped_column(primary_key=True)
    month: Mapped[int]


FIRST = select(Bill.id).where(Bill.month == 1)


class Shelf(Handed):
    """How many pieces are left."""

    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    pieces: Mapped[int]


class Purchase(Handed):
    """What somebody bought."""

    __tablename__ = "purchase"

    buyer: Mapped[str] = mapped_column(primary_key=True)


@claim(
    title="A request that is refused gives its connection back",
    acid="Isolation",
    critical="each refused request takes a connection out of the pool, until nobody gets one any more",
    test="tests/database/test_leak_invariants.py::test_closed_in_any_case",
)
@dataclass(frozen=True)
class ClosedInAnyCase(Scenario):
    """Two people want the same name, and a unique key decides."""

    metadata = Handed.metadata

    async def take(self, sessions: Sessions) -> str:
        """Take the name, unless somebody has it."""
        try:
            async with sessions.begin() as session:
                if await session.get(Handle, "neo"):
                    return "taken"
                session.add(Handle(name="neo"))
        except IntegrityError:
            return "taken"
        return "yours"

    @actor(names=("alice", "bob"))
    async def ask(self, sessions: Sessions) -> str:
        """Asks for the name."""
        return await self.take(sessions)

    @invariant
    async def somebody_has_the_name(self, session: AsyncSession) -> None:
        """There is one of it."""
        assert await session.scalar(select(func.count(Handle.name))) == 1


@planted_bug(
    of=ClosedInAnyCase,
    token="lab1:scenarios.leaks:ClosedAfterSuccess::-:alice.bob3.alice2:3fk4f:leak.hcab:ndide6",
    cause="the session is closed where all goes well, and the error passes that line by",
    fix="open the session by `async with`, which closes it in any case",
)
@dataclass(frozen=True)
class ClosedAfterSuccess(ClosedInAnyCase):
    """Closes the session at the end of the good way."""

    async def take(self, sessions: Sessions) -> str:
        """Take the name, unless somebody has it."""
        session = sessions()
        try:
            free = await session.get(Handle, "neo") is None
            if free:
                session.add(Handle(name="neo"))
            await session.commit()
            await session.close()
        except IntegrityError:
            return "taken"
        return "yours" if free else "taken"


@claim(
    title="A lock ends with the work that it guards, however that ends",
    acid="Isolation",
    critical="the lock stays with a connection of the pool, so the work is not done again until that is closed",
    test="tests/database/test_leak_invariants.py::test_billed_under_a_lock",
)
@dataclass(frozen=True)
class BilledUnderALock(Scenario):
    """Two workers bill the month; one at a time, and only if that is not done yet."""

    metadata = Handed.metadata

    async def is_billed(self, session: AsyncSession) -> bool:
        """Whether there is nothing to do, so that no lock is needed."""
        async with session.begin():
            return await session.scalar(FIRST) is not None

    async def bill(self, session: AsyncSession) -> str:
        """Bill the month under a lock of the transaction."""
        if await self.is_billed(session):
            return "done before"
        async with session.begin():
            await session.execute(select(func.pg_advisory_xact_lock(BILLING)))
            if await session.scalar(FIRST):
                return "done before"
            session.add(Bill(id=1, month=1))
        return "done"

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> str:
        """Bills."""
        return await self.bill(session)

    @invariant
    async def the_month_is_billed_once(self, session: AsyncSession) -> None:
        """There is one bill."""
        assert await session.scalar(select(func.count(Bill.id))) == 1


@planted_bug(
    of=BilledUnderALock,
    token="lab1:scenarios.leaks:ReleasedAfterBilling::-:alice5.bob3.alice3.bob3:2fsmn:leak.3xry:lwmb3d",
    cause="the lock belongs to the session, not to the transaction, and one way out does not release it",
    fix="take a lock of the transaction, pg_advisory_xact_lock, which ends with it in any case",
)
@dataclass(frozen=True)
class ReleasedAfterBilling(BilledUnderALock):
    """Releases the lock where it has billed."""

    async def bill(self, session: AsyncSession) -> str:
        """Bill the month under a lock of the session."""
        if await self.is_billed(session):
            return "done before"
        async with session.begin():
            await session.execute(select(func.pg_advisory_lock(BILLING)))
            if await session.scalar(FIRST):
                return "done before"
            session.add(Bill(id=1, month=1))
        await session.execute(select(func.pg_advisory_unlock(BILLING)))
        return "done"


@claim(
    title="A task that outlives its request uses a session of its own",
    acid="Isolation",
    critical="nobody closes the session that the task opens again, so its transaction stays open",
    test="tests/database/test_leak_invariants.py::test_confirmed_by_session_of_its_own",
)
@dataclass(frozen=True)
class ConfirmedBySessionOfItsOwn(Scenario):
    """Two buyers buy; a task that nobody waits for sends them what they bought."""

    metadata = Handed.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Five pieces."""
        session.add(Shelf(id=1, pieces=5))

    async def confirm(self, sessions: Sessions, session: AsyncSession, name: str) -> None:
        """Read what to send, in a session of the task's own."""
        async with sessions() as own:
            await own.get_one(Purchase, name)

    @actor(names=("alice", "bob"))
    async def buy(self, sessions: Sessions, name: str) -> str:
        """Buys, and answers before the confirmation is sent."""
        async with sessions() as session:
            await session.execute(update(Shelf).values(pieces=Shelf.pieces - 1))
            session.add(Purchase(buyer=name))
            await session.commit()
        task = asyncio.create_task(self.confirm(sessions, session, name))
        _RUNNING.add(task)
        task.add_done_callback(_RUNNING.discard)
        return "bought"

    @invariant
    async def what_was_bought_has_left_the_shelf(self, session: AsyncSession, outcome: Outcome) -> None:
        """Each has one piece, or none where it was cut off, and what is left makes five with them."""
        bought = await session.scalar(select(func.count(Purchase.buyer))) or 0
        assert bought in [len(done) for done in outcome.possible]
        assert await session.scalar(select(Shelf.pieces)) == 5 - bought


@planted_bug(
    of=ConfirmedBySessionOfItsOwn,
    token="lab1:scenarios.leaks:ConfirmedBySessionOfTheRequest::-:alice3.alice/1-1.bob3.bob/1-1:a5tl7:leak.hcab:xm6xwh",
    cause="a session that was closed begins anew when it is used, and the request that would close it is over",
    fix="open a session in the task, by `async with`",
)
@dataclass(frozen=True)
class ConfirmedBySessionOfTheRequest(ConfirmedBySessionOfItsOwn):
    """Hands the task the session of the request."""

    async def confirm(self, sessions: Sessions, session: AsyncSession, name: str) -> None:
        """Read what to send, in the session of the request."""
        await session.get_one(Purchase, name)
