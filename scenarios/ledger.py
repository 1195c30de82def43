"""A ledger whose entries each carry the balance that they leave: the next entry must build on the latest one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Account, Bank, Entry

__all__ = ["Ledger", "LocksTheLatestEntry"]


@claim(
    title="A running balance is the sum of its entries",
    acid="Consistency",
    critical="a ledger that does not add up cannot be audited",
    test="tests/database/test_database_invariants.py::test_ledger_balance",
)
@dataclass(frozen=True)
class Ledger(Scenario):
    """Two deposits append to one ledger; the last entry's balance is the sum of all amounts.

    Each locks the row of the account, which stays the same row whatever is appended. That needs READ COMMITTED, where
    the statement after the wait sees the latest entry, or SERIALIZABLE, which refuses whoever does not see it.
    """

    opening: int = 100
    deposit: int = 30

    metadata = Bank.metadata

    async def setup(self, session: AsyncSession) -> None:
        """An account and its first entry."""
        session.add_all([Account(id=1, balance=0), Entry(amount=self.opening, balance=self.opening)])

    async def latest(self, session: AsyncSession) -> Entry:
        """The entry to build on, locked against other appends."""
        await session.get_one(Account, 1, with_for_update=True)
        return (await session.scalars(select(Entry).order_by(Entry.id.desc()).limit(1))).one()

    @actor(names=("ann", "ben"))
    async def depositor(self, session: AsyncSession) -> None:
        """Appends a deposit."""
        async with session.begin():
            before = await self.latest(session)
            session.add(Entry(amount=self.deposit, balance=before.balance + self.deposit))

    @invariant
    async def the_last_balance_is_the_sum(self, session: AsyncSession) -> None:
        """The balance of the last entry is the sum of all amounts."""
        last = (await session.scalars(select(Entry.balance).order_by(Entry.id.desc()).limit(1))).one()
        total = await session.scalar(select(func.sum(Entry.amount)))
        assert last == total, f"the last entry's balance is {last}, the amounts sum up to {total}"


@planted_bug(
    of=Ledger,
    token="lab1:scenarios.ledger:LocksTheLatestEntry::-:ann.ben.ann2.ben3:zthzu:vch3pv",
    cause="whoever waits for the lock on the latest entry gets that entry, though a later one exists by then",
    fix="lock a row that stays, such as the account's, and then look for the latest entry",
)
@dataclass(frozen=True)
class LocksTheLatestEntry(Ledger):
    """Locks "the latest entry": a target that moves while one waits for it."""

    async def latest(self, session: AsyncSession) -> Entry:
        """The entry that was the latest when the statement began, locked."""
        return (await session.scalars(select(Entry).order_by(Entry.id.desc()).limit(1).with_for_update())).one()
