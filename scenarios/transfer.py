"""Atomic transfer: money moves from one account to another whole, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Account, Bank

__all__ = ["InsufficientFundsError", "LostUpdate", "Transfer", "TwoTransactions"]


class InsufficientFundsError(Exception):
    """The payer has less than the amount; nothing was moved."""


@claim(
    title="A transfer keeps the sum of the accounts",
    acid="Consistency",
    critical="every lost or doubled leg is somebody's money",
    test="tests/database/test_database_transaction_invariants.py::test_transaction_consistency",
    max_examples=80,
)
@dataclass(frozen=True)
class Transfer(Scenario):
    """Two opposite transfers between two accounts while an auditor adds up the money.

    Both rows are locked in the order of their ids before anything is read, and one transaction holds both legs.
    """

    balance: int = 100
    amount: int = 30

    metadata = Bank.metadata
    allows = (InsufficientFundsError,)

    async def setup(self, session: AsyncSession) -> None:
        """Two accounts with the same balance."""
        session.add_all([Account(id=1, balance=self.balance), Account(id=2, balance=self.balance)])

    async def move(self, session: AsyncSession, source: int, target: int) -> None:
        """Move the amount; refuse an overdraft."""
        async with session.begin():
            both = select(Account).order_by(Account.id).with_for_update()
            accounts = {account.id: account for account in await session.scalars(both)}
            refuse_overdraft(accounts[source], self.amount)
            accounts[source].balance -= self.amount
            accounts[target].balance += self.amount

    @actor
    async def alice(self, session: AsyncSession) -> None:
        """Pays from account 1 to account 2."""
        await self.move(session, source=1, target=2)

    @actor
    async def bob(self, session: AsyncSession) -> None:
        """Pays from account 2 to account 1."""
        await self.move(session, source=2, target=1)

    @actor
    async def auditor(self, session: AsyncSession) -> int | None:
        """Adds up all the money in one statement."""
        return await session.scalar(select(func.sum(Account.balance)))

    @invariant
    async def money_is_conserved(self, session: AsyncSession) -> None:
        """The sum over both accounts is what it was."""
        total = await session.scalar(select(func.sum(Account.balance)))
        assert total == 2 * self.balance, f"the accounts hold {total}, expected {2 * self.balance}"

    @invariant
    async def every_transfer_arrives(self, session: AsyncSession, outcome: Outcome) -> None:
        """Account 1 has paid what alice sent, and has got what bob sent."""
        balance = (await session.get_one(Account, 1)).balance
        expected = [self.balance + self.amount * (("bob" in done) - ("alice" in done)) for done in outcome.possible]
        assert balance in expected, f"account 1 holds {balance}, expected {expected[0]}"

    @invariant
    async def nobody_is_overdrawn(self, session: AsyncSession) -> None:
        """No balance is negative."""
        lowest = await session.scalar(select(func.min(Account.balance)))
        assert lowest is not None
        assert lowest >= 0, f"an account stands at {lowest}"

    @invariant
    async def the_auditor_sees_all_the_money(self, outcome: Outcome) -> None:
        """Nobody ever sees money in transit."""
        seen = outcome.results["auditor"]
        assert not seen.returned or seen.value == 2 * self.balance, f"saw {seen.value}, expected {2 * self.balance}"


def refuse_overdraft(account: Account, amount: int) -> None:
    """Raise `InsufficientFundsError` if the account does not hold the amount."""
    if account.balance < amount:
        raise InsufficientFundsError(f"account {account.id} holds {account.balance}, not {amount}")


@planted_bug(
    of=Transfer,
    token="lab1:scenarios.transfer:LostUpdate::-:alice2.bob4.alice2:iognt:hfx2x7",
    cause="both transfers read the balances without a lock, and the later UPDATE writes a sum made from stale ones",
    fix="read the rows with SELECT ... FOR UPDATE, in the order of their ids",
)
@dataclass(frozen=True)
class LostUpdate(Transfer):
    """Reads the balances, computes in Python, writes them back: an update made in between is lost."""

    async def move(self, session: AsyncSession, source: int, target: int) -> None:
        """Move the amount by read, modify, write."""
        async with session.begin():
            payer = await session.get_one(Account, source)
            payee = await session.get_one(Account, target)
            refuse_overdraft(payer, self.amount)
            payer.balance -= self.amount
            payee.balance += self.amount

    # The auditor plays no part in this: without it the story is two requests long.
    auditor = None  # type: ignore[assignment]
    the_auditor_sees_all_the_money = None  # type: ignore[assignment]


@planted_bug(
    of=Transfer,
    token="lab1:scenarios.transfer:TwoTransactions::-:alice6.bob5.auditor2.bob:j32td:yz4vpt",
    cause="the debit commits before the credit begins, so for a moment the money is nowhere",
    fix="put both legs into one transaction",
)
@dataclass(frozen=True)
class TwoTransactions(Transfer):
    """Debits in one transaction and credits in the next: in between, the money is missing."""

    async def move(self, session: AsyncSession, source: int, target: int) -> None:
        """Move the amount leg by leg."""
        async with session.begin():
            payer = await session.get_one(Account, source, with_for_update=True)
            refuse_overdraft(payer, self.amount)
            payer.balance -= self.amount
        async with session.begin():
            payee = await session.get_one(Account, target, with_for_update=True)
            payee.balance += self.amount
