"""An asyncio lock around a transaction guards nothing unless it is held until the COMMIT."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Bank, Counter

__all__ = ["LockHeldUntilTheCommit", "LockReleasedBeforeTheCommit"]

_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


def counter_lock() -> asyncio.Lock:
    """The lock of this process for the counter; one an event loop, since a lock belongs to a loop."""
    return _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())


@claim(
    title="A lock in the process is held until the commit",
    acid="Isolation",
    critical="a lock that ends before the commit protects nothing, and works in every test on one connection",
    test="tests/database/test_database_invariants.py::test_process_lock_covers_the_commit",
)
@dataclass(frozen=True)
class LockHeldUntilTheCommit(Scenario):
    """Two requests of one process count a visit under an asyncio lock, which they hold until they have committed."""

    metadata = Bank.metadata

    async def setup(self, session: AsyncSession) -> None:
        """One counter."""
        session.add(Counter(id=1, value=0))

    async def count(self, session: AsyncSession) -> None:
        """Add one by read, modify, write."""
        async with counter_lock(), session.begin():
            counter = await session.get_one(Counter, 1)
            counter.value += 1

    @actor(names=("first", "second"))
    async def visitor(self, session: AsyncSession) -> None:
        """Counts one visit."""
        await self.count(session)

    @invariant
    async def every_visit_counts(self, session: AsyncSession, outcome: Outcome) -> None:
        """The counter stands at two, or at what was not cut off."""
        value, expected = (await session.get_one(Counter, 1)).value, [len(done) for done in outcome.possible]
        assert value in expected, f"the counter stands at {value}, expected {expected[0]}"


@planted_bug(
    of=LockHeldUntilTheCommit,
    token="lab1:scenarios.process_lock:LockReleasedBeforeTheCommit::-:first.second3.first2:32ppl:ns6rur",
    cause="the lock covers reading and computing, but the new value is only written and committed after its release",
    fix="hold the lock until the transaction has committed",
)
@dataclass(frozen=True)
class LockReleasedBeforeTheCommit(LockHeldUntilTheCommit):
    """Takes the lock inside the transaction, so the flush and the COMMIT come after its release."""

    async def count(self, session: AsyncSession) -> None:
        """Add one by read, modify, write, the first two under the lock."""
        async with session.begin(), counter_lock():
            counter = await session.get_one(Counter, 1)
            counter.value += 1
