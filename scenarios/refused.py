"""What the server refuses for reasons of its own: a statement that takes too long, a full disk, a conflict."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import MetaData, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug

__all__ = [
    "AnyErrorIsADuplicate",
    "ArchivedOnce",
    "LimitHoldsInTime",
    "MailForEachAttempt",
    "MailWithTheOrder",
    "TimeoutTakenForNothing",
]

Sessions = async_sessionmaker[AsyncSession]


class Spending(DeclarativeBase):
    """Tables by themselves."""

    metadata = MetaData()


class Budget(Spending):
    """What may be spent together."""

    __tablename__ = "refused_budget"

    id: Mapped[int] = mapped_column(primary_key=True)
    most: Mapped[int]


class Expense(Spending):
    """What was spent, and by whom."""

    __tablename__ = "refused_expense"

    spender: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[int]


@claim(
    title="A limit lets nothing through whose sum could not be computed in time",
    acid="Consistency",
    critical="the sum takes longest when there is most to add up, and then the limit is no limit",
    test="tests/database/test_refusal_invariants.py::test_limit_in_time",
)
@dataclass(frozen=True)
class LimitHoldsInTime(Scenario):
    """Two spend 60 of a budget of 100, of which 30 are spent; the sum may run into statement_timeout."""

    metadata = Spending.metadata
    faults = ("statement-timeout",)

    async def setup(self, session: AsyncSession) -> None:
        """A budget of which a part is spent."""
        session.add_all([Budget(id=1, most=100), Expense(spender="landlord", amount=30)])

    async def spent(self, session: AsyncSession) -> int:
        """What was spent until now."""
        return await session.scalar(select(func.sum(Expense.amount))) or 0

    @actor(names=("alice", "bob"))
    async def spend(self, session: AsyncSession, name: str) -> str:
        """Spends 60 where the budget has room, one at a time."""
        budget = await session.get_one(Budget, 1, with_for_update=True)
        most = budget.most
        if await self.spent(session) + 60 > most:
            await session.rollback()
            return "refused"
        await session.execute(insert(Expense).values(spender=name, amount=60))
        await session.commit()
        return "spent"

    @invariant
    async def the_budget_holds(self, session: AsyncSession) -> None:
        """No more is spent than may be."""
        spent = await session.scalar(select(func.sum(Expense.amount)))
        assert spent is not None, "nothing was spent"
        assert spent <= 100, f"{spent} are spent of a budget of 100"


@planted_bug(
    of=LimitHoldsInTime,
    token="lab1:scenarios.refused:TimeoutTakenForNothing::-:alice6.bob2.statement-timeout@bob-1.bob4:5mdue:invariant.7dsm:wmpuly",
    cause="a sum that was cancelled by statement_timeout is taken for a sum of nothing",
    fix="let the error end the request: what could not be checked is refused",
)
@dataclass(frozen=True)
class TimeoutTakenForNothing(LimitHoldsInTime):
    """Has a default for a sum that takes too long."""

    async def spent(self, session: AsyncSession) -> int:
        """What was spent until now, if that can be told in time."""
        try:
            async with session.begin_nested():
                return await super().spent(session)
        except DBAPIError:
            return 0


class Store(DeclarativeBase):
    """Tables by themselves."""

    metadata = MetaData()


class Order(Store):
    """An order that is done."""

    __tablename__ = "refused_order"

    id: Mapped[int] = mapped_column(primary_key=True)


class Archived(Store):
    """An order in the archive."""

    __tablename__ = "refused_archived"

    id: Mapped[int] = mapped_column(primary_key=True)


@claim(
    title="An order leaves the table only when it is in the archive",
    acid="Atomicity",
    critical="a full disk refuses the copy and lets the original be deleted",
    test="tests/database/test_refusal_invariants.py::test_archived_once",
)
@dataclass(frozen=True)
class ArchivedOnce(Scenario):
    """Two workers archive two orders, one of which an earlier run has copied already; the disk may be full."""

    metadata = Store.metadata
    faults = ("disk-full",)
    duplicate: ClassVar[type[DBAPIError]] = IntegrityError
    """What says that a copy is there."""

    async def setup(self, session: AsyncSession) -> None:
        """Two orders, and what an earlier run left behind."""
        session.add_all([Order(id=1), Order(id=2), Archived(id=1)])

    @actor(names=("alice", "bob"))
    async def archive(self, session: AsyncSession) -> None:
        """Copies each order and deletes it; a copy that is there already is no error."""
        for number in (1, 2):
            if await session.get(Order, number, with_for_update=True) is None:
                continue
            with contextlib.suppress(self.duplicate):
                async with session.begin_nested():
                    await session.execute(insert(Archived).values(id=number))
            await session.execute(delete(Order).where(Order.id == number))
        await session.commit()

    @invariant
    async def no_order_is_lost(self, session: AsyncSession) -> None:
        """Each is where it was, or in the archive."""
        kept = {*await session.scalars(select(Order.id)), *await session.scalars(select(Archived.id))}
        assert kept == {1, 2}, f"of orders 1 and 2 there is {', '.join(map(str, sorted(kept))) or 'none'}"


@planted_bug(
    of=ArchivedOnce,
    token="lab1:scenarios.refused:AnyErrorIsADuplicate::-:bob7.disk-full@bob-1.bob4.alice3:2nvdm:invariant.gt3w:3nbwqx",
    cause="every error of the copy is taken for one that is there already, and the original is deleted",
    fix="catch the error that is expected, or say so in the statement: ON CONFLICT DO NOTHING",
)
@dataclass(frozen=True)
class AnyErrorIsADuplicate(ArchivedOnce):
    """Goes on after any error of the copy."""

    duplicate = DBAPIError


class Desk(DeclarativeBase):
    """Tables by themselves."""

    metadata = MetaData()


class Ticket(Desk):
    """What a customer bought."""

    __tablename__ = "refused_ticket"

    id: Mapped[int] = mapped_column(primary_key=True)
    buyer: Mapped[str | None]


class Mail(Desk):
    """A mail that is to be sent."""

    __tablename__ = "refused_mail"

    id: Mapped[int] = mapped_column(primary_key=True)
    to: Mapped[str]


@claim(
    title="A purchase that is done again after a refusal is confirmed once",
    acid="Atomicity",
    critical="what is committed by itself within a transaction stays when that is refused, and its retry adds another",
    test="tests/database/test_refusal_invariants.py::test_confirmed_once",
)
@dataclass(frozen=True)
class MailWithTheOrder(Scenario):
    """Two buy a ticket each at REPEATABLE READ, and try once more where the server cannot serialize."""

    metadata = Desk.metadata
    isolation = "REPEATABLE READ"
    faults = ("serialization-failure",)

    async def setup(self, session: AsyncSession) -> None:
        """Two tickets."""
        session.add_all([Ticket(id=1), Ticket(id=2)])

    async def confirm(self, session: AsyncSession, sessions: Sessions, buyer: str) -> None:
        """Have a mail sent when the purchase is committed."""
        session.add(Mail(to=buyer))

    async def attempt(self, sessions: Sessions, buyer: str, ticket: int) -> None:
        """Buy the ticket in one transaction."""
        async with sessions.begin() as session:
            (await session.get_one(Ticket, ticket)).buyer = buyer
            await self.confirm(session, sessions, buyer)

    async def buy(self, sessions: Sessions, buyer: str, ticket: int) -> None:
        """Buy it, in the second attempt if need be."""
        try:
            await self.attempt(sessions, buyer, ticket)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != "40001":
                raise
            await self.attempt(sessions, buyer, ticket)

    @actor
    async def alice(self, sessions: Sessions) -> None:
        """Buys the first."""
        await self.buy(sessions, "alice", 1)

    @actor
    async def bob(self, sessions: Sessions) -> None:
        """Buys the second."""
        await self.buy(sessions, "bob", 2)

    @invariant
    async def each_is_told_once(self, session: AsyncSession, outcome: Outcome) -> None:
        """Each buyer has a ticket, and one mail; or neither, where the purchase was cut off."""
        for buyer in ("alice", "bob"):
            mails = await session.scalar(select(func.count()).where(Mail.to == buyer))
            tickets = await session.scalar(select(func.count()).where(Ticket.buyer == buyer))
            perhaps = (0, 1) if buyer in outcome.in_doubt else (1,)
            assert tickets in perhaps, f"{buyer} has {tickets} tickets"
            assert mails == tickets, f"{buyer} has {tickets} ticket and {mails} mails"


@planted_bug(
    of=MailWithTheOrder,
    token="lab1:scenarios.refused:MailForEachAttempt::-:alice5.bob4.serialization-failure@bob-1.bob6:pduhk:invariant.3esq:ddxyhz",
    cause="the mail is committed by itself before the purchase, stays when that is refused, and is sent again",
    fix="put the mail into the transaction of the purchase, and send it when that is committed",
)
@dataclass(frozen=True)
class MailForEachAttempt(MailWithTheOrder):
    """Hands the mail over in a transaction of its own."""

    async def confirm(self, session: AsyncSession, sessions: Sessions, buyer: str) -> None:
        """Have a mail sent at once."""
        async with sessions.begin() as mailer:
            mailer.add(Mail(to=buyer))
