"""Lost connections and time-outs: what a request may assume about work of its own that was cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import MetaData, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Account, Bank

__all__ = [
    "CommitInDoubt",
    "KeyMadeAnew",
    "LegSkipped",
    "LostConnection",
    "LostConnectionByKill",
    "PatientTransfer",
    "StatementRetried",
    "StatementRetriedAfterKill",
]

Sessions = async_sessionmaker[AsyncSession]


class Till(DeclarativeBase):
    """A table by itself."""

    metadata = MetaData()


class Payment(Till):
    """Money that was taken. `key` says for which request."""

    __tablename__ = "till_payment"

    key: Mapped[str] = mapped_column(primary_key=True)
    payer: Mapped[str]


@claim(
    title="A payment whose COMMIT is in doubt is tried again and made once",
    acid="Durability",
    critical="the customer pays twice, or not at all",
    test="tests/database/test_fault_invariants.py::test_commit_in_doubt",
)
@dataclass(frozen=True)
class CommitInDoubt(Scenario):
    """Two customers pay. Where the answer to a COMMIT is lost, the payment is tried again under the same key."""

    metadata = Till.metadata
    faults: ClassVar[tuple[str, ...]] = ("lost-answer",)

    def key(self, payer: str, attempt: int) -> str:
        """What makes two attempts of one payment known as such."""
        return payer

    async def attempt(self, sessions: Sessions, payer: str, number: int) -> None:
        """Take the money, unless that was done under this key."""
        async with sessions.begin() as session:
            payment = insert(Payment).values(key=self.key(payer, number), payer=payer)
            await session.execute(payment.on_conflict_do_nothing())

    @actor(names=("alice", "bob"))
    async def pay(self, sessions: Sessions, name: str) -> str:
        """Pays, and tries once more where the connection is lost."""
        try:
            await self.attempt(sessions, name, 1)
        except DBAPIError:
            await self.attempt(sessions, name, 2)
        return "paid"

    @invariant
    async def each_pays_once(self, session: AsyncSession, outcome: Outcome) -> None:
        """Each customer has one payment, or none, where it was cut off for good."""
        for payer in ("alice", "bob"):
            payments = await session.scalar(select(func.count()).where(Payment.payer == payer))
            perhaps = (0, 1) if payer in outcome.in_doubt else (1,)
            assert payments in perhaps, f"{payer} paid {payments} times"


@planted_bug(
    of=CommitInDoubt,
    token="lab1:scenarios.faults:KeyMadeAnew::-:alice2.bob.lost-answer@bob-1.bob3:kwtza:jttgfj",
    cause="an attempt that got no answer is taken for one that failed, and the next one has a key of its own",
    fix="make the key once for the payment, not for the attempt, and let it be unique",
)
@dataclass(frozen=True)
class KeyMadeAnew(CommitInDoubt):
    """Makes a key for each attempt."""

    def key(self, payer: str, attempt: int) -> str:
        """Another one each time."""
        return f"{payer}-{attempt}"


@claim(
    title="A transfer that lost its connection is tried again as a whole",
    acid="Atomicity",
    critical="the part before the loss was rolled back, so the rest alone loses money",
    test="tests/database/test_fault_invariants.py::test_lost_connection",
)
@dataclass(frozen=True)
class LostConnection(Scenario):
    """Two transfers from account 1 to account 2; either may lose its connection, and tries once more then."""

    metadata = Bank.metadata
    faults: ClassVar[tuple[str, ...]] = ("disconnect",)

    async def setup(self, session: AsyncSession) -> None:
        """Two accounts."""
        session.add_all([Account(id=1, balance=100), Account(id=2, balance=100)])

    async def leg(self, session: AsyncSession, number: int, amount: int) -> None:
        """Change a balance."""
        await session.execute(update(Account).where(Account.id == number).values(balance=Account.balance + amount))

    async def move(self, session: AsyncSession, amount: int) -> None:
        """Move the amount; where the connection is lost, once more from the beginning."""
        try:
            await self.leg(session, 1, -amount)
            await self.leg(session, 2, amount)
        except DBAPIError:
            await session.rollback()
            await self.leg(session, 1, -amount)
            await self.leg(session, 2, amount)
        await session.commit()

    @actor
    async def alice(self, session: AsyncSession) -> None:
        """Moves 10."""
        await self.move(session, 10)

    @actor
    async def bob(self, session: AsyncSession) -> None:
        """Moves 20."""
        await self.move(session, 20)

    @invariant
    async def money_is_conserved(self, session: AsyncSession) -> None:
        """The accounts hold what they held together."""
        total = await session.scalar(select(func.sum(Account.balance)))
        assert total == 200, f"the accounts hold {total}, expected 200"


@planted_bug(
    of=LostConnection,
    token="lab1:scenarios.faults:StatementRetried::-:alice.disconnect@alice.alice3.bob3:anq3u:3sjzbn",
    cause="the statement that failed is tried again, but with its connection the transaction before it was lost",
    fix="try the whole transaction again",
)
@dataclass(frozen=True)
class StatementRetried(LostConnection):
    """Tries the statement that failed once more."""

    async def leg(self, session: AsyncSession, number: int, amount: int) -> None:
        """Change a balance, and insist."""
        try:
            await super().leg(session, number, amount)
        except DBAPIError:
            await session.rollback()
            await super().leg(session, number, amount)


@claim(
    title="A transfer whose connection was killed is tried again as a whole",
    acid="Atomicity",
    critical="a restart of a proxy or a failover ends connections in the middle of transactions",
    test="tests/database/test_fault_invariants.py::test_killed_connection",
)
@dataclass(frozen=True)
class LostConnectionByKill(LostConnection):
    """The same transfers while the server ends connections."""

    faults = ("kill",)


@planted_bug(
    of=LostConnectionByKill,
    token="lab1:scenarios.faults:StatementRetriedAfterKill::-:alice.kill@alice.alice3.bob3:anq3u:esay2l",
    cause="the statement that failed is tried again, but with its connection the transaction before it was lost",
    fix="try the whole transaction again",
)
@dataclass(frozen=True)
class StatementRetriedAfterKill(StatementRetried):
    """Tries the statement that failed once more, while the server ends connections."""

    faults = ("kill",)


@claim(
    title="A transfer that waits too long for a lock leaves nothing behind",
    acid="Atomicity",
    critical="half a transfer is money that nobody finds",
    test="tests/database/test_fault_invariants.py::test_lock_timeout",
)
@dataclass(frozen=True)
class PatientTransfer(LostConnection):
    """The same transfers with a lock_timeout. Whoever waits too long is told so."""

    faults = ("lock-timeout",)

    async def move(self, session: AsyncSession, amount: int) -> None:
        """Move the amount, a savepoint for each leg."""
        for number, change in ((1, -amount), (2, amount)):
            async with session.begin_nested():
                await self.leg(session, number, change)
        await session.commit()


@planted_bug(
    of=PatientTransfer,
    token="lab1:scenarios.faults:LegSkipped::-:alice5.bob2.alice.lock-timeout@bob-1.alice.bob6:mo5r3:e3jypi",
    cause="the row that was locked for too long is skipped, and what could be done is committed",
    fix="let the error leave the transaction; skipping is for work that stands by itself",
)
@dataclass(frozen=True)
class LegSkipped(PatientTransfer):
    """Goes on with the next row where one is locked."""

    async def move(self, session: AsyncSession, amount: int) -> None:
        """Move what is not locked."""
        for number, change in ((1, -amount), (2, amount)):
            try:
                async with session.begin_nested():
                    await self.leg(session, number, change)
            except DBAPIError:
                continue
        await session.commit()
