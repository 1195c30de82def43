"""Atomicity: a payment that is refused half-way leaves nothing behind."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Account, Bank
from scenarios.transfer import InsufficientFundsError, refuse_overdraft

__all__ = ["CreditKeptAfterRefusal", "Overdraft"]


@claim(
    title="A refused payment changes nothing",
    acid="Atomicity",
    critical="money appears from nowhere when half of a refused payment stays",
    test="tests/database/test_database_transaction_invariants.py::test_overdraft_is_refused_whole",
    max_examples=80,
)
@dataclass(frozen=True)
class Overdraft(Scenario):
    """A payment larger than the balance, while a deposit comes in: balance 100, debit 150, stays 100.

    The credit is written before the balance is looked at; the refusal takes it back, because both are one transaction.
    """

    balance: int = 100
    debit: int = 150
    deposit: int = 20

    metadata = Bank.metadata
    allows = (InsufficientFundsError,)

    async def setup(self, session: AsyncSession) -> None:
        """The payer's account and an empty one."""
        session.add_all([Account(id=1, balance=self.balance), Account(id=2, balance=0)])

    async def pay(self, session: AsyncSession) -> None:
        """Credit the payee, then debit the payer, if there is enough."""
        async with session.begin():
            await self.credit(session)
            await self.debit_or_refuse(session)

    async def credit(self, session: AsyncSession) -> None:
        """Add the amount to the payee's account."""
        await session.execute(update(Account).where(Account.id == 2).values(balance=Account.balance + self.debit))

    async def debit_or_refuse(self, session: AsyncSession) -> None:
        """Take the amount from the payer's account; raise `InsufficientFundsError` if there is less."""
        payer = await session.get_one(Account, 1, with_for_update=True)
        refuse_overdraft(payer, self.debit)
        payer.balance -= self.debit

    @actor
    async def payer(self, session: AsyncSession) -> None:
        """Pays more than there is."""
        await self.pay(session)

    @actor
    async def depositor(self, session: AsyncSession) -> None:
        """Pays money in."""
        async with session.begin():
            await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + self.deposit))

    @invariant
    async def money_is_conserved(self, session: AsyncSession, outcome: Outcome) -> None:
        """A refused payment makes no money."""
        total = await session.scalar(select(func.sum(Account.balance)))
        expected = [self.balance + (self.deposit if "depositor" in done else 0) for done in outcome.possible]
        assert total in expected, f"the accounts hold {total}, expected {expected[0]}"

    @invariant
    async def nobody_is_overdrawn(self, session: AsyncSession) -> None:
        """No balance is negative."""
        overdrawn = (await session.scalars(select(Account.id).where(Account.balance < 0))).all()
        assert not overdrawn, f"account {overdrawn[0]} is overdrawn"


@planted_bug(
    of=Overdraft,
    token="lab1:scenarios.overdraft:CreditKeptAfterRefusal::-:payer3.depositor2:jdhur:ebvk7g",
    cause="the refusal is caught inside the transaction, which then commits the credit without its debit",
    fix="let the error leave the transaction's block, so that it rolls back",
)
@dataclass(frozen=True)
class CreditKeptAfterRefusal(Overdraft):
    """Catches the refusal inside the transaction in order to answer politely."""

    async def pay(self, session: AsyncSession) -> None:
        """Credit the payee, then debit the payer; if that is refused, commit all the same."""
        async with session.begin():
            await self.credit(session)
            try:
                await self.debit_or_refuse(session)
            except InsufficientFundsError:
                return
