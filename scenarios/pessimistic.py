"""Pessimistic locking: a row that is locked before it is read cannot change before it is written."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Account, Bank
from scenarios.transfer import InsufficientFundsError, refuse_overdraft

__all__ = [
    "LockEndsBeforeTheWrite",
    "LocksTheWrongRow",
    "ReadsBeforeItLocks",
    "StaleInstanceFromTheIdentityMap",
    "Withdrawals",
]

SHARED = 1
CARDS = {"ann": 2, "ben": 3}


@claim(
    title="What is decided under a lock is decided on locked rows",
    acid="Isolation",
    critical="a lock that does not cover what was read protects nothing",
    test="tests/database/test_database_invariants.py::test_pessimistic_locking",
)
@dataclass(frozen=True)
class Withdrawals(Scenario):
    """Two cards draw on one account, which has enough for one of them.

    The account was loaded before, for a quick answer, so the locking SELECT has to refresh it: `populate_existing`.
    """

    balance: int = 100
    amount: int = 60

    metadata = Bank.metadata
    allows = (InsufficientFundsError,)

    async def setup(self, session: AsyncSession) -> None:
        """The shared account, and one for each card's fees."""
        session.add(Account(id=SHARED, balance=self.balance))
        session.add_all([Account(id=card, balance=0) for card in CARDS.values()])

    async def withdraw(self, session: AsyncSession, card: int) -> None:
        """Take the amount from the shared account, if it is there."""
        async with session.begin():
            shown = await session.get_one(Account, SHARED)
            refuse_overdraft(shown, self.amount)  # answers most people without a lock
            locked = select(Account).where(Account.id == SHARED).with_for_update()
            account = (await session.scalars(locked.execution_options(populate_existing=True))).one()
            refuse_overdraft(account, self.amount)
            account.balance -= self.amount

    @actor(names=tuple(CARDS))
    async def holder(self, session: AsyncSession, name: str) -> None:
        """Draws the amount with a card."""
        await self.withdraw(session, CARDS[name])

    @invariant
    async def every_withdrawal_is_booked(self, session: AsyncSession, outcome: Outcome) -> None:
        """What was paid out is missing from the balance, and nothing else is."""
        balance = (await session.get_one(Account, SHARED)).balance
        expected = [self.balance - self.amount * len(done) for done in outcome.possible]
        assert balance in expected, f"the balance is {balance}, expected {expected[0]}"

    @invariant
    async def nobody_draws_more_than_there_is(self, session: AsyncSession) -> None:
        """The balance is not negative."""
        balance = (await session.get_one(Account, SHARED)).balance
        assert balance >= 0, f"the balance is {balance}"


@planted_bug(
    of=Withdrawals,
    token="lab1:scenarios.pessimistic:LocksTheWrongRow::-:ann2.ben4.ann2:wffgg:frww2f",
    cause="the lock is on the card's own row, so two cards of one account do not meet",
    fix="lock the row that is read and written: the account's",
)
@dataclass(frozen=True)
class LocksTheWrongRow(Withdrawals):
    """Locks the row of the card and changes that of the account."""

    async def withdraw(self, session: AsyncSession, card: int) -> None:
        """Take the amount under a lock on the card's row."""
        async with session.begin():
            await session.get_one(Account, card, with_for_update=True)
            account = await session.get_one(Account, SHARED)
            refuse_overdraft(account, self.amount)
            account.balance -= self.amount


@planted_bug(
    of=Withdrawals,
    token="lab1:scenarios.pessimistic:ReadsBeforeItLocks::-:ann.ben4.ann3:2pmzk:t2p46q",
    cause="the balance was read before the lock was taken, so it may have changed while the request waited for it",
    fix="read the balance by the statement that locks the row, or after it",
)
@dataclass(frozen=True)
class ReadsBeforeItLocks(Withdrawals):
    """Reads the balance, then locks the row, then relies on what it read."""

    async def withdraw(self, session: AsyncSession, card: int) -> None:
        """Take the amount, judged by a balance that was read before the lock."""
        async with session.begin():
            balance = (await session.scalars(select(Account.balance).where(Account.id == SHARED))).one()
            await session.execute(select(Account.id).where(Account.id == SHARED).with_for_update())
            refuse_overdraft(Account(id=SHARED, balance=balance), self.amount)
            rest = update(Account).where(Account.id == SHARED).values(balance=balance - self.amount)
            await session.execute(rest)


@planted_bug(
    of=Withdrawals,
    token="lab1:scenarios.pessimistic:LockEndsBeforeTheWrite::-:ann2.ben4.ann2:wffgg:onvmgi",
    cause="the transaction with FOR UPDATE ends before the one that writes begins, and its lock ends with it",
    fix="lock, read and write in one transaction",
)
@dataclass(frozen=True)
class LockEndsBeforeTheWrite(Withdrawals):
    """Locks and reads in one transaction, writes in the next."""

    async def withdraw(self, session: AsyncSession, card: int) -> None:
        """Take the amount that an earlier transaction found to be there."""
        async with session.begin():
            account = await session.get_one(Account, SHARED, with_for_update=True)
            refuse_overdraft(account, self.amount)
            rest = account.balance - self.amount
        async with session.begin():
            await session.execute(update(Account).where(Account.id == SHARED).values(balance=rest))


@planted_bug(
    of=Withdrawals,
    token="lab1:scenarios.pessimistic:StaleInstanceFromTheIdentityMap::-:ann.ben4.ann3:2pmzk:77nbd2",
    cause="the session has the account in its identity map, so the locking SELECT hands back the stale instance",
    fix="add populate_existing to the SELECT ... FOR UPDATE, or load the account with the lock at once",
)
@dataclass(frozen=True)
class StaleInstanceFromTheIdentityMap(Withdrawals):
    """Locks the row properly, but the ORM keeps the values that it loaded before the lock."""

    async def withdraw(self, session: AsyncSession, card: int) -> None:
        """Take the amount from the account as the session first saw it."""
        async with session.begin():
            shown = await session.get_one(Account, SHARED)
            refuse_overdraft(shown, self.amount)  # answers most people without a lock
            account = (await session.scalars(select(Account).where(Account.id == SHARED).with_for_update())).one()
            refuse_overdraft(account, self.amount)
            account.balance -= self.amount
