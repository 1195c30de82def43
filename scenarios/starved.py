"""Waits in the process for what nobody gives any more: connections of a pool, events, room in a queue, a task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug, point
from scenarios.schema import Bank, Counter

__all__ = [
    "ChildrenBeforeTheRow",
    "ClearsBeforeItLooks",
    "LeavesWhatCameMeanwhile",
    "LooksAgainBeforeItLeaves",
    "LooksBeforeItClears",
    "OneConnectionARequest",
    "RowHeldWhileAChildWorks",
    "TwoConnectionsARequest",
]

engine = create_async_engine("postgresql+asyncpg://shop@db.internal/shop", pool_size=2, max_overflow=0)
"""An application's own engine, for two requests at once."""
Session = async_sessionmaker(engine, expire_on_commit=False)


class Desk:
    """What the process keeps while requests are under way: letters to be sent, and who is told of an order."""

    def __init__(self) -> None:
        self.requests = 0
        self.letters: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
        self.sending = False
        self.ordered = asyncio.Event()


_desks: WeakKeyDictionary[asyncio.AbstractEventLoop, Desk] = WeakKeyDictionary()


@asynccontextmanager
async def request() -> AsyncIterator[Desk]:
    """The time of one request. The first one opens the desk, and the last one closes it."""
    loop = asyncio.get_running_loop()
    desk = _desks.setdefault(loop, Desk())
    desk.requests += 1
    try:
        yield desk
    finally:
        desk.requests -= 1
        if not desk.requests:
            _desks.pop(loop, None)


async def count(session: AsyncSession, number: int) -> None:
    """Count on one row, which is locked until the transaction ends."""
    await session.execute(update(Counter).where(Counter.id == number).values(value=Counter.value + 1))


async def counted(session: AsyncSession, number: int) -> int:
    """How often something was counted on a row."""
    return (await session.get_one(Counter, number)).value


@dataclass(frozen=True)
class Counting(Scenario):
    """Three counters."""

    metadata = Bank.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Three counters."""
        session.add_all(Counter(id=number, value=0) for number in (1, 2, 3))


@claim(
    title="A request takes one connection of its pool",
    acid="Isolation",
    critical="requests that hold a connection and wait for a second one empty the pool, and then all of them wait",
    test="tests/database/test_stall_invariants.py::test_one_connection_a_request",
)
@dataclass(frozen=True)
class OneConnectionARequest(Counting):
    """Two requests book and write their audit entry, with a pool of two connections."""

    watch = (engine,)

    async def audit(self, session: AsyncSession) -> None:
        """Write the entry in the transaction of the request."""
        await count(session, 3)

    @actor(names=("first", "second"))
    async def book(self, name: str) -> None:
        """Books, and writes an audit entry."""
        await point("called")
        async with Session.begin() as session:
            await count(session, 1 if name == "first" else 2)
            await self.audit(session)

    @invariant
    async def both_are_audited(self, session: AsyncSession, outcome: Outcome) -> None:
        """There are two audit entries, or one for each request that was not cut off."""
        entries, expected = await counted(session, 3), [len(done) for done in outcome.possible]
        assert entries in expected, f"{entries} audit entries, expected {expected[0]}"


@planted_bug(
    of=OneConnectionARequest,
    token="lab1:scenarios.starved:TwoConnectionsARequest::-:first.second2.first:yqvdj:stall.ters:ssijj5",
    cause="each request holds a connection of the pool and waits for a second one, which only the other can give back",
    fix="do all work of a request in one session, or take the second connection when the first one is given back",
)
@dataclass(frozen=True)
class TwoConnectionsARequest(OneConnectionARequest):
    """The audit entry is written in a session of its own, so that it stays when the booking fails."""

    async def audit(self, session: AsyncSession) -> None:
        """Write the entry in another transaction."""
        async with Session.begin() as own:
            await count(own, 3)


@claim(
    title="Whoever waits for news is told",
    acid="Consistency",
    critical="an event that is cleared after it was set is never set again, and nothing shows why nobody wakes up",
    test="tests/database/test_stall_invariants.py::test_event_is_set",
)
@dataclass(frozen=True)
class ClearsBeforeItLooks(Counting):
    """A cook waits for the order of a guest: it looks into the table, and else waits until it is told.

    Nothing is promised where the guest is cut off before it orders: then the cook waits.
    """

    async def order(self, session: AsyncSession, ordered: asyncio.Event) -> None:
        """Wait for the order; what is set after the clearing is not lost."""
        ordered.clear()
        while not await self.is_there(session):
            await ordered.wait()
            ordered.clear()

    async def is_there(self, session: AsyncSession) -> bool:
        """Whether the order is in the table."""
        async with session.begin():
            return await counted(session, 1) > 0

    @actor
    async def cook(self, session: AsyncSession) -> None:
        """Cooks what was ordered."""
        await point("called")
        async with request() as desk:
            await self.order(session, desk.ordered)
            async with session.begin():
                await count(session, 2)

    @actor
    async def guest(self, session: AsyncSession) -> None:
        """Orders, and tells."""
        await point("called")
        async with request() as desk:
            async with session.begin():
                await count(session, 1)
            desk.ordered.set()

    @invariant
    async def the_order_is_cooked(self, session: AsyncSession, outcome: Outcome) -> None:
        """One meal is cooked, unless the cook or the guest was cut off."""
        meals = await counted(session, 2)
        assert meals in ((0, 1) if outcome.in_doubt else (1,)), f"{meals} meals, expected 1"


@planted_bug(
    of=ClearsBeforeItLooks,
    token="lab1:scenarios.starved:LooksBeforeItClears::-:cook2.guest3.cook:hbtfs:stall.ters:vrqe35",
    cause="the guest sets the event after the cook has looked and before the cook clears it",
    fix="clear the event before looking, so that whatever is set after the look is still there to wake up by",
)
@dataclass(frozen=True)
class LooksBeforeItClears(ClearsBeforeItLooks):
    """The cook clears the event when it has found nothing and is about to wait."""

    async def order(self, session: AsyncSession, ordered: asyncio.Event) -> None:
        """Look, clear, wait."""
        while not await self.is_there(session):
            ordered.clear()
            await ordered.wait()


@claim(
    title="A queue is read for as long as somebody puts",
    acid="Consistency",
    critical="whoever puts into a full queue that nobody reads waits for ever, whatever it holds meanwhile",
    test="tests/database/test_stall_invariants.py::test_queue_is_read",
)
@dataclass(frozen=True)
class LooksAgainBeforeItLeaves(Counting):
    """Three requests put a letter each into a queue for one; whoever finds nobody sending sends what is there."""

    async def send(self, session: AsyncSession, desk: Desk) -> None:
        """Send letters until there is none; nothing is awaited between the last look and leaving.

        Who is cut off takes the letters that are there along, so that nobody waits for room in the queue.
        """
        desk.sending = True
        try:
            while not desk.letters.empty():
                desk.letters.get_nowait()
                async with session.begin():
                    await count(session, 1)
        finally:
            desk.sending = False
            while not desk.letters.empty():
                desk.letters.get_nowait()

    @actor(names=("first", "second", "third"))
    async def clerk(self, session: AsyncSession) -> None:
        """Writes a letter, and sends."""
        await point("called")
        async with request() as desk:
            await desk.letters.put(1)
            if not desk.sending:
                await self.send(session, desk)

    @invariant
    async def every_letter_is_sent(self, session: AsyncSession, outcome: Outcome) -> None:
        """Three letters are sent, unless somebody was cut off, who may have had all of them."""
        sent = await counted(session, 1)
        assert sent in (range(4) if outcome.in_doubt else (3,)), f"{sent} letters, expected 3"


@planted_bug(
    of=LooksAgainBeforeItLeaves,
    token="lab1:scenarios.starved:LeavesWhatCameMeanwhile::-:first2.second.third.first:idono:stall.ters:nqc6c5",
    cause="a letter that came while the sender counted stays in the queue, which is full then, and nobody sends",
    fix="look into the queue again when the last letter is counted, and leave only if it is empty",
)
@dataclass(frozen=True)
class LeavesWhatCameMeanwhile(LooksAgainBeforeItLeaves):
    """The sender takes what is there, counts it all at once, and leaves."""

    async def send(self, session: AsyncSession, desk: Desk) -> None:
        """Send the letters that are there."""
        desk.sending = True
        async with session.begin():
            while not desk.letters.empty():
                desk.letters.get_nowait()
                await count(session, 1)
        desk.sending = False


@claim(
    title="Nobody waits for a task with rows locked that the task may need",
    acid="Isolation",
    critical="PostgreSQL sees no task group: a parent that waits for its children is idle in transaction",
    test="tests/database/test_stall_invariants.py::test_children_before_the_row",
)
@dataclass(frozen=True)
class ChildrenBeforeTheRow(Counting):
    """A report lets a child task count, and a sale counts on the same two rows."""

    async def both(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Let the child count first, in a transaction of its own."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.child(sessions))
        async with sessions.begin() as session:
            await count(session, 1)

    async def child(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Count on the second row."""
        async with sessions.begin() as session:
            await count(session, 2)

    @actor
    async def report(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Counts on both rows, on the second one in a task."""
        await point("called")
        await self.both(sessions)

    @actor
    async def sale(self, session: AsyncSession) -> None:
        """Counts on the second row and on the first."""
        await point("called")
        async with session.begin():
            await count(session, 2)
            await count(session, 1)

    @invariant
    async def everything_counts(self, session: AsyncSession, outcome: Outcome) -> None:
        """Both rows stand at two, or each at what was not cut off."""
        values = [await counted(session, number) for number in (1, 2)]
        expected = [len(done) for done in outcome.possible]
        assert all(value in expected for value in values), f"the counters stand at {values}, expected [2, 2]"


@planted_bug(
    of=ChildrenBeforeTheRow,
    token="lab1:scenarios.starved:RowHeldWhileAChildWorks::-:report2.sale3.report/1-1:5be2s:stall.ters:5zmnnc",
    cause="the report holds a row until its child has ended, which waits for the sale, which waits for that row",
    fix="end the tasks before rows are locked, or let them work in the transaction that has locked the rows",
)
@dataclass(frozen=True)
class RowHeldWhileAChildWorks(ChildrenBeforeTheRow):
    """The report has locked the first row when it waits for its child."""

    async def both(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        """Wait for the child within the transaction."""
        async with sessions.begin() as session:
            await count(session, 1)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.child(sessions))
