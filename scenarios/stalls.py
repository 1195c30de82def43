"""Locks of the process beside locks of the database: PostgreSQL sees only its own, so nobody breaks their circles."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import anyio
import anyio.from_thread
import anyio.to_thread
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug, point
from scenarios.schema import Bank, Counter

__all__ = [
    "AnyioLockBeforeTheRow",
    "LocksInOneOrder",
    "LocksInOppositeOrder",
    "ProcessLockBeforeTheRow",
    "RowBeforeTheAnyioLock",
    "RowBeforeTheProcessLock",
    "ThreadWaitsUnderALock",
    "ThreadWaitsWithoutALock",
]


class Shop:
    """What the process keeps beside the database, and the locks that guard it."""

    def __init__(self) -> None:
        self.prices = asyncio.Lock()
        self.stock = asyncio.Lock()
        self.mailbox = anyio.Lock()


_shops: WeakKeyDictionary[asyncio.AbstractEventLoop, Shop] = WeakKeyDictionary()


def shop() -> Shop:
    """The shop of this process; one an event loop, since a lock belongs to a loop."""
    return _shops.setdefault(asyncio.get_running_loop(), Shop())


async def count(session: AsyncSession, number: int) -> None:
    """Count on one row, which is locked until the transaction ends."""
    await session.execute(update(Counter).where(Counter.id == number).values(value=Counter.value + 1))


@dataclass(frozen=True)
class Counted(Scenario):
    """Two counters, on which each of two requests counts."""

    metadata = Bank.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Two counters."""
        session.add_all([Counter(id=1, value=0), Counter(id=2, value=0)])

    @invariant
    async def both_requests_count(self, session: AsyncSession, outcome: Outcome) -> None:
        """The first counter stands at two, or at what was not cut off."""
        value, expected = (await session.get_one(Counter, 1)).value, [len(done) for done in outcome.possible]
        assert value in expected, f"the counter stands at {value}, expected {expected[0]}"


@claim(
    title="Locks of the process are taken in one order",
    acid="Isolation",
    critical="no timeout and no deadlock check ends a circle of asyncio locks: both requests hang for ever",
    test="tests/database/test_stall_invariants.py::test_locks_in_one_order",
)
@dataclass(frozen=True)
class LocksInOneOrder(Counted):
    """A sale and a price list use two guarded things of the process, and lock prices before stock."""

    async def reprice(self, session: AsyncSession) -> None:
        """Lock prices, then stock."""
        async with shop().prices, session.begin():
            await count(session, 1)
            async with shop().stock:
                await count(session, 2)

    @actor
    async def sale(self, session: AsyncSession) -> None:
        """Needs prices and stock."""
        await point("called")
        async with shop().prices, session.begin():
            await count(session, 2)
            async with shop().stock:
                await count(session, 1)

    @actor
    async def pricelist(self, session: AsyncSession) -> None:
        """Needs stock and prices."""
        await point("called")
        await self.reprice(session)


@planted_bug(
    of=LocksInOneOrder,
    token="lab1:scenarios.stalls:LocksInOppositeOrder::-:sale.pricelist3.sale:kgwmf:stall.ters:xnznjg",
    cause="the price list locks stock before prices, a sale prices before stock, and each waits for the other's lock",
    fix="take locks of the process in one order everywhere",
)
@dataclass(frozen=True)
class LocksInOppositeOrder(LocksInOneOrder):
    """The price list takes the lock that it needs first."""

    async def reprice(self, session: AsyncSession) -> None:
        """Lock stock, then prices."""
        async with shop().stock:
            async with session.begin():
                await count(session, 1)
            async with shop().prices, session.begin():
                await count(session, 2)


@claim(
    title="A lock of the process is taken before rows are locked",
    acid="Isolation",
    critical="PostgreSQL does not see who waits for an asyncio lock, so it breaks no deadlock that passes through one",
    test="tests/database/test_stall_invariants.py::test_process_lock_before_the_row",
)
@dataclass(frozen=True)
class ProcessLockBeforeTheRow(Counted):
    """Two requests use a lock of the process and a row, and take the lock first."""

    async def book(self, session: AsyncSession) -> None:
        """Lock the stock, then the row."""
        async with shop().stock, session.begin():
            await count(session, 1)

    @actor
    async def recount(self, session: AsyncSession) -> None:
        """Counts under the lock."""
        await point("called")
        async with shop().stock, session.begin():
            await count(session, 1)

    @actor
    async def sale(self, session: AsyncSession) -> None:
        """Books."""
        await point("called")
        await self.book(session)


@planted_bug(
    of=ProcessLockBeforeTheRow,
    token="lab1:scenarios.stalls:RowBeforeTheProcessLock::-:recount.sale2.recount:sfaiq:stall.ters:dmlffk",
    cause="the sale holds the row while it waits for the lock, whose holder waits for the row",
    fix="take the lock of the process before the first row is locked, or give it up before",
)
@dataclass(frozen=True)
class RowBeforeTheProcessLock(ProcessLockBeforeTheRow):
    """The sale has locked its row when it asks for the lock of the process."""

    async def book(self, session: AsyncSession) -> None:
        """Lock the row, then the stock."""
        async with session.begin():
            await count(session, 1)
            async with shop().stock:
                await count(session, 2)


@claim(
    title="An anyio lock is taken before rows are locked",
    acid="Isolation",
    critical="a lock of anyio is as invisible to PostgreSQL as one of asyncio",
    test="tests/database/test_stall_invariants.py::test_anyio_lock_before_the_row",
)
@dataclass(frozen=True)
class AnyioLockBeforeTheRow(Counted):
    """Two requests write a row and send a message, one at a time, under a lock of anyio."""

    async def post(self, session: AsyncSession) -> None:
        """Lock the mailbox, then the row."""
        async with shop().mailbox, session.begin():
            await count(session, 1)

    @actor
    async def digest(self, session: AsyncSession) -> None:
        """Counts what it sends."""
        await point("called")
        async with shop().mailbox, session.begin():
            await count(session, 1)

    @actor
    async def order(self, session: AsyncSession) -> None:
        """Posts its confirmation."""
        await point("called")
        await self.post(session)


@planted_bug(
    of=AnyioLockBeforeTheRow,
    token="lab1:scenarios.stalls:RowBeforeTheAnyioLock::-:digest.order2.digest:isi2a:stall.ters:egsejg",
    cause="the order holds the row while it waits for the mailbox, whose holder waits for the row",
    fix="commit before the message is sent, or take the lock first",
)
@dataclass(frozen=True)
class RowBeforeTheAnyioLock(AnyioLockBeforeTheRow):
    """The order sends its message within its transaction."""

    async def post(self, session: AsyncSession) -> None:
        """Lock the row, then the mailbox."""
        async with session.begin():
            await count(session, 1)
            async with shop().mailbox:
                await count(session, 2)


@claim(
    title="A thread does not wait for the event loop with locks held",
    acid="Isolation",
    critical="a thread that calls back into the loop is blocked until the loop answers, and so is whoever waits for it",
    test="tests/database/test_stall_invariants.py::test_thread_and_loop",
)
@dataclass(frozen=True)
class ThreadWaitsWithoutALock(Counted):
    """An export runs in a thread, which comes back to the event loop to count what it wrote.

    It counts in a session of its own, since a thread goes on when the request that waits for it is cut off.
    """

    async def export(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Count from within the thread, and look at the stock when that has ended."""
        await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(self.written, sessions))
        async with shop().stock:
            pass

    async def written(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Count one row."""
        async with sessions.begin() as session:
            await count(session, 1)

    @actor
    async def exporter(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Exports."""
        await point("called")
        await self.export(sessions)

    @actor
    async def sale(self, session: AsyncSession) -> None:
        """Counts a sale, and then looks at the stock."""
        await point("called")
        async with session.begin():
            await count(session, 1)
            async with shop().stock:
                pass


@planted_bug(
    of=ThreadWaitsWithoutALock,
    token="lab1:scenarios.stalls:ThreadWaitsUnderALock::-:exporter.sale2.exporter/1-1:chhcf:stall.ters:urru5s",
    cause="the thread waits for a task of the event loop, the task for a row, and its holder for the exporter's lock",
    fix="hold no lock while a thread works that comes back to the event loop",
)
@dataclass(frozen=True)
class ThreadWaitsUnderALock(ThreadWaitsWithoutALock):
    """The export holds the lock of the stock for as long as its thread runs."""

    async def export(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Count from within the thread, under the lock."""
        async with shop().stock:
            await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(self.written, sessions))
