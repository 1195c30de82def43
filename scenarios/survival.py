"""What the server refuses is done again: as a whole, from what is in the database now, and without locks meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Account, Bank

__all__ = [
    "BacksOffWithLocksHeld",
    "BacksOffWithoutLocks",
    "NotAgainAfterADeadlock",
    "TriedAgainAsAWhole",
    "TriedAgainWithStaleObjects",
]

Sessions = async_sessionmaker[AsyncSession]


async def again_after(states: tuple[str, ...], work: Callable[[], Awaitable[None]], *, attempts: int = 3) -> None:
    """Do some work, and again after a refusal with one of these SQLSTATEs, after a pause."""
    for _ in range(attempts - 1):
        try:
            return await work()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in states:
                raise
        await asyncio.sleep(1)
    return await work()


@claim(
    title="A transaction that the server refuses is done again as a whole",
    acid="Isolation",
    critical="above READ COMMITTED the server refuses ordinary work on busy days, and only then is the retry ever run",
    test="tests/database/test_database_transaction_invariants.py::test_a_refused_transaction_is_done_again",
)
@dataclass(frozen=True)
class TriedAgainAsAWhole(Scenario):
    """Two deposits on one account at REPEATABLE READ; the server may refuse either."""

    metadata = Bank.metadata
    isolation = "REPEATABLE READ"
    states: ClassVar[tuple[str, ...]] = ("40001", "40P01")

    async def setup(self, session: AsyncSession) -> None:
        """An empty account."""
        session.add(Account(id=1, balance=0))

    async def deposit(self, sessions: Sessions, amount: int) -> None:
        """Read, add and write in one transaction, again and again until it is done."""

        async def once() -> None:
            async with sessions.begin() as session:
                account = await session.get_one(Account, 1)
                account.balance += amount

        await again_after(self.states, once)

    @actor(survives=("40001", "40P01"), attempts=4)
    async def employer(self, sessions: Sessions) -> None:
        """Pays in 100."""
        await self.deposit(sessions, 100)

    @actor(survives=("40001", "40P01"), attempts=4)
    async def tenant(self, sessions: Sessions) -> None:
        """Pays in 30."""
        await self.deposit(sessions, 30)

    @invariant
    async def every_deposit_is_there(self, session: AsyncSession, outcome: Outcome) -> None:
        """The balance is the sum of those that were not cut off."""
        balance, paid = (await session.get_one(Account, 1)).balance, {"employer": 100, "tenant": 30}
        expected = [sum(paid[name] for name in done) for done in outcome.possible]
        assert balance in expected, f"the account holds {balance}, expected {expected[0]}"


@planted_bug(
    of=TriedAgainAsAWhole,
    token="lab1:scenarios.survival:TriedAgainWithStaleObjects::-:employer2.tenant5.employer3:xcer6:invariant.ywu7:p6e23p",
    cause="the new balance is computed once, before the loop, so the second attempt writes what the first one had read",
    fix="put reading and computing into what is tried again",
)
@dataclass(frozen=True)
class TriedAgainWithStaleObjects(TriedAgainAsAWhole):
    """Keeps the object of the first attempt."""

    async def deposit(self, sessions: Sessions, amount: int) -> None:
        """Read and add once, then write until it is done."""
        async with sessions() as session:
            account = await session.get_one(Account, 1)
        account.balance += amount

        async def once() -> None:
            async with sessions.begin() as session:
                await session.merge(account)

        await again_after(self.states, once)


@planted_bug(
    of=TriedAgainAsAWhole,
    token="lab1:scenarios.survival:NotAgainAfterADeadlock::-:tenant3.deadlock@employer.employer2:mwe3l:survival.5zbl:agydp3",
    cause="the loop knows serialization failures only, and a deadlock with another request ends it",
    fix="try again after 40P01 as well",
)
@dataclass(frozen=True)
class NotAgainAfterADeadlock(TriedAgainAsAWhole):
    """Two deposits alone never deadlock, so no test of theirs shows it."""

    states = ("40001",)


@claim(
    title="Who backs off from a lock gives back its own",
    acid="Isolation",
    critical="two requests that wait for each other's row with locks held try again until both run into a time limit",
    test="tests/database/test_database_transaction_invariants.py::test_who_backs_off_gives_locks_back",
)
@dataclass(frozen=True)
class BacksOffWithoutLocks(Scenario):
    """Two transfers in opposite directions that rather try again than wait for a lock."""

    metadata = Bank.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Two accounts."""
        session.add_all([Account(id=1, balance=100), Account(id=2, balance=100)])

    async def move(self, sessions: Sessions, source: int, target: int) -> None:
        """Take both locks in the order of the accounts, or none."""

        async def once() -> None:
            async with sessions.begin() as session:
                both = select(Account).order_by(Account.id).with_for_update(nowait=True)
                accounts = {each.id: each for each in await session.scalars(both)}
                accounts[source].balance -= 10
                accounts[target].balance += 10

        await again_after(("55P03",), once)

    @actor(survives=("55P03",), attempts=2)
    async def payer(self, sessions: Sessions) -> None:
        """Pays."""
        await self.move(sessions, 1, 2)

    @actor(survives=("55P03",), attempts=2)
    async def refunder(self, sessions: Sessions) -> None:
        """Pays back."""
        await self.move(sessions, 2, 1)

    @invariant
    async def money_is_conserved(self, session: AsyncSession) -> None:
        """Whoever gave up moved nothing."""
        total = sum(await session.scalars(select(Account.balance)))
        assert total == 200, f"both accounts together hold {total}, expected 200"


@planted_bug(
    of=BacksOffWithoutLocks,
    token="lab1:scenarios.survival:BacksOffWithLocksHeld::-:payer2.refunder3.payer4.refunder4.payer7.refunder9:ja672:survival.65zz:reqvke",
    cause="a savepoint gives back only what was locked in it, so each sleeps with the lock that the other one wants",
    fix="roll the whole transaction back before trying again, and take locks in one order",
)
@dataclass(frozen=True)
class BacksOffWithLocksHeld(BacksOffWithoutLocks):
    """Locks its own account, then tries for the other one."""

    async def move(self, sessions: Sessions, source: int, target: int) -> None:
        """Take the locks one after the other; of the second one only its savepoint is given up."""
        async with sessions.begin() as session:
            mine = await session.get_one(Account, source, with_for_update=True)

            async def once() -> None:
                async with session.begin_nested():
                    await session.get_one(Account, target, with_for_update={"nowait": True})

            await again_after(("55P03",), once)
            mine.balance -= 10
            (await session.get_one(Account, target)).balance += 10
