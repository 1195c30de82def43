"""A race that two requests started together hardly ever show.

`asyncio.gather` runs requests in lock-step: each sends its first statement, then each its second. The interest job
reads and writes within its first two statements, while the payment reaches the balance only with its sixth. To lose
the payment, the job would have to pause for as long as five statements take. Under load, some night, it will.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Account, Bank, Counter

__all__ = ["InterestJob", "InterestOnAStaleBalance"]

CUSTOMER, INVOICE, LIMIT, RECEIPTS = 1, 2, 3, 4


@claim(
    title="A job and a request that meet on a row both arrive",
    acid="Isolation",
    critical="a payment that a nightly job overwrites is found by the customer, not by a test",
    test="tests/database/test_database_invariants.py::test_interest_and_payment",
)
@dataclass(frozen=True)
class InterestJob(Scenario):
    """A nightly job adds interest to a balance while a customer's payment comes in.

    The job computes in the database, on the row as it stands when the UPDATE holds its lock.
    """

    balance: int = 1000
    payment: int = 50

    metadata = Bank.metadata

    @property
    def interest(self) -> int:
        """One per cent of the first balance: the payment is too small to change the whole number."""
        return self.balance // 100

    async def setup(self, session: AsyncSession) -> None:
        """One account, and what a payment looks up on its way."""
        session.add(Account(id=1, balance=self.balance))
        session.add_all([Counter(id=each, value=0) for each in (CUSTOMER, INVOICE, LIMIT, RECEIPTS)])

    async def add_interest(self, session: AsyncSession) -> None:
        """Add the interest to the balance."""
        async with session.begin():
            await session.execute(
                update(Account).where(Account.id == 1).values(balance=Account.balance + self.interest)
            )

    @actor
    async def job(self, session: AsyncSession) -> None:
        """Adds interest."""
        await self.add_interest(session)

    @actor
    async def payer(self, session: AsyncSession) -> None:
        """Looks up customer, invoice and limit, writes two receipts, then pays by one relative UPDATE."""
        async with session.begin():
            for each in (CUSTOMER, INVOICE, LIMIT):
                await session.get_one(Counter, each)
            for receipt in (INVOICE, RECEIPTS):
                await session.execute(update(Counter).where(Counter.id == receipt).values(value=Counter.value + 1))
            await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + self.payment))

    @invariant
    async def interest_and_payment_both_arrive(self, session: AsyncSession, outcome: Outcome) -> None:
        """The balance has grown by what was reported as done: interest and payment."""
        balance = await session.scalar(select(func.sum(Account.balance)))
        added = {"job": self.interest, "payer": self.payment}
        expected = [self.balance + sum(added[name] for name in done) for done in outcome.possible]
        assert balance in expected, f"the balance is {balance}, expected {expected[0]}"


@planted_bug(
    of=InterestJob,
    token="lab1:scenarios.interest:InterestOnAStaleBalance::-:job.payer7.job2:mrunv:thecwc",
    cause="the job writes a balance that it computed from an earlier read, over a payment that came in between",
    fix="let the UPDATE compute: balance = balance + interest",
)
@dataclass(frozen=True)
class InterestOnAStaleBalance(InterestJob):
    """Loads the account, adds the interest in Python, writes it back."""

    async def add_interest(self, session: AsyncSession) -> None:
        """Add the interest by read, modify, write."""
        async with session.begin():
            account = await session.get_one(Account, 1)
            account.balance += self.interest
