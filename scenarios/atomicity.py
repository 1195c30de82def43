"""Atomicity under faults: both legs of a transfer or none, also when it is cut off between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import select, update
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug, point
from scenarios.schema import Account, Bank

__all__ = ["Atomicity", "AtomicityInCrashes", "CommitInFinally", "OneLegPerCommit", "OneLegPerCommitInCrashes"]


@claim(
    title="A transfer is done whole or not at all, also when it is cut off",
    acid="Atomicity",
    critical="a request that is cancelled or loses its connection half way must leave nothing behind",
    test="tests/database/test_database_transaction_invariants.py::test_transaction_atomicity",
    max_examples=80,
)
@dataclass(frozen=True)
class Atomicity(Scenario):
    """A payment and a refund between two accounts; either may be cancelled or lose its connection at any point."""

    balance: int = 100
    payment: int = 30
    refund: int = 20

    metadata = Bank.metadata
    faults: ClassVar[tuple[str, ...]] = ("cancel", "kill")

    async def setup(self, session: AsyncSession) -> None:
        """Two accounts with the same balance."""
        session.add_all([Account(id=1, balance=self.balance), Account(id=2, balance=self.balance)])

    async def move(self, session: AsyncSession, amount: int) -> None:
        """Move the amount from account 1 to account 2 in one transaction."""
        async with session.begin():
            await self.add(session, 1, -amount)
            await point("the payee's bank answers")
            await self.add(session, 2, amount)

    async def add(self, session: AsyncSession, number: int, amount: int) -> None:
        """One leg. Both requests take the accounts in the same order, so they cannot deadlock."""
        await session.execute(update(Account).where(Account.id == number).values(balance=Account.balance + amount))

    @actor
    async def payer(self, session: AsyncSession) -> None:
        """Pays."""
        await self.move(session, self.payment)

    @actor
    async def refunder(self, session: AsyncSession) -> None:
        """Sends money the other way."""
        await self.move(session, -self.refund)

    @invariant
    async def both_legs_or_none(self, session: AsyncSession) -> None:
        """The balances are those after some of the two transfers, each whole."""
        first, second = (await session.scalars(select(Account.balance).order_by(Account.id))).all()
        whole = {
            (self.balance - moved, self.balance + moved)
            for moved in (0, self.payment, -self.refund, self.payment - self.refund)
        }
        assert (first, second) in whole, f"the accounts hold {first} and {second}: half a transfer"

    @invariant
    async def what_succeeded_is_done(self, session: AsyncSession, outcome: Outcome) -> None:
        """Without an error on either side, both transfers are in the balance."""
        if len(outcome.committed) == len(outcome.results):
            first = await session.scalar(select(Account.balance).where(Account.id == 1))
            expected = self.balance - self.payment + self.refund
            assert first == expected, f"account 1 holds {first}, expected {expected}"


@claim(
    title="A transfer is done whole or not at all, also when the server crashes",
    acid="Atomicity",
    critical="money that a crash leaves between two commits is found by nobody",
    test="tests/database/test_database_transaction_invariants.py::test_transaction_atomicity_in_crashes",
    max_examples=80,
)
@dataclass(frozen=True)
class AtomicityInCrashes(Atomicity):
    """The same transfers while the server crashes."""

    faults = ("crash",)


@planted_bug(
    of=Atomicity,
    token="lab1:scenarios.atomicity:OneLegPerCommit::-:payer5.refunder2.cancel@refunder:x552d:mm6nbd",
    cause="each leg commits by itself, and a request that is cut off after the first one leaves the money nowhere",
    fix="put both legs into one transaction",
)
@dataclass(frozen=True)
class OneLegPerCommit(Atomicity):
    """Commits after each leg."""

    async def move(self, session: AsyncSession, amount: int) -> None:
        """Move the amount in two transactions."""
        await self.add(session, 1, -amount)
        await session.commit()
        await point("the payee's bank answers")
        await self.add(session, 2, amount)
        await session.commit()


@planted_bug(
    of=AtomicityInCrashes,
    token="lab1:scenarios.atomicity:OneLegPerCommitInCrashes::-:payer3.crash@server.payer.refunder:u567a:kydjyh",
    cause="each leg commits by itself, and a crash between the two commits leaves the money nowhere",
    fix="put both legs into one transaction",
)
@dataclass(frozen=True)
class OneLegPerCommitInCrashes(OneLegPerCommit):
    """Commits after each leg, while the server crashes."""

    faults = ("crash",)


@planted_bug(
    of=Atomicity,
    token="lab1:scenarios.atomicity:CommitInFinally::-:payer.cancel@payer.payer.refunder4:dwr2h:sy6lin",
    cause="the commit stands in a `finally`, so a cancelled request commits the leg that it had got to",
    fix="commit only at the end of the whole work; `async with session.begin()` does that and rolls back otherwise",
)
@dataclass(frozen=True)
class CommitInFinally(Atomicity):
    """Makes sure that the transaction always ends, by committing it.

    Where a statement is cancelled, SQLAlchemy gives the connection up and refuses to commit; anywhere else it commits.
    """

    allows = (PendingRollbackError,)  # which is how it refuses

    async def move(self, session: AsyncSession, amount: int) -> None:
        """Move the amount; commit whatever happens."""
        try:
            await self.add(session, 1, -amount)
            await point("the payee's bank answers")
            await self.add(session, 2, amount)
        finally:
            await session.commit()
