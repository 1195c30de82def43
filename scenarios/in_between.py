"""What others may see in between: states that are wrong after one COMMIT and right again after the next."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, always, claim, planted_bug
from scenarios.schema import Account, Bank, Counter, House, Member

__all__ = [
    "DebitCommittedFirst",
    "DeskAlwaysAttended",
    "MoneyNeverMissing",
    "OffDutyBeforeOn",
    "OversoldThenRefilled",
    "StockNeverNegative",
]


@claim(
    title="No reader ever misses money that is on its way",
    acid="Isolation",
    critical="a report that is made between two commits of a transfer misses money, and no later look shows why",
    test="tests/database/test_database_in_between.py::test_no_money_is_missing_in_between",
)
@dataclass(frozen=True)
class MoneyNeverMissing(Scenario):
    """A payment and a refund between two accounts, while others may read the accounts at any moment."""

    balance: int = 100
    payment: int = 30
    refund: int = 20

    metadata = Bank.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Two accounts with the same balance."""
        session.add_all([Account(id=1, balance=self.balance), Account(id=2, balance=self.balance)])

    async def move(self, session: AsyncSession, amount: int) -> None:
        """Move the amount from account 1 to account 2 in one transaction."""
        await self.add(session, 1, -amount)
        await self.add(session, 2, amount)
        await session.commit()

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

    @always
    async def no_money_is_missing(self, session: AsyncSession) -> None:
        """After each COMMIT the accounts hold together what they held at first."""
        total = await session.scalar(select(func.sum(Account.balance)))
        assert total == 2 * self.balance, f"the accounts hold {total}, expected {2 * self.balance}"


@planted_bug(
    of=MoneyNeverMissing,
    token="lab1:scenarios.in_between:DebitCommittedFirst::-:payer4.refunder4:dadz5:invariant.c6wp:nrkqfm",
    cause="each leg commits by itself, so between the two commits the money is nowhere for whoever looks",
    fix="put both legs into one transaction",
)
@dataclass(frozen=True)
class DebitCommittedFirst(MoneyNeverMissing):
    """Commits after each leg; in the end all the money is there."""

    async def move(self, session: AsyncSession, amount: int) -> None:
        """Move the amount in two transactions."""
        await self.add(session, 1, -amount)
        await session.commit()
        await self.add(session, 2, amount)
        await session.commit()


@claim(
    title="A desk is attended at every moment, also while one hands over to another",
    acid="Isolation",
    critical="a call that comes in while nobody is on duty goes to nobody, and a moment later all looks well",
    test="tests/database/test_database_in_between.py::test_a_desk_is_attended_in_between",
)
@dataclass(frozen=True)
class DeskAlwaysAttended(Scenario):
    """A desk at which one member hands over to the next, while somebody calls."""

    metadata = House.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Two members, of whom the first is on duty."""
        session.add_all([Member(id=1, name="ann", on_duty=True), Member(id=2, name="ben")])

    async def put(self, session: AsyncSession, number: int, *, on_duty: bool) -> None:
        """Write that a member is on duty, or not."""
        await session.execute(update(Member).where(Member.id == number).values(on_duty=on_duty))

    @actor
    async def ann(self, session: AsyncSession) -> None:
        """Goes, and lets the other one come, at once for everybody."""
        await self.put(session, 1, on_duty=False)
        await self.put(session, 2, on_duty=True)
        await session.commit()

    @actor
    async def caller(self, session: AsyncSession) -> str | None:
        """Asks who is on duty."""
        return (await session.scalars(select(Member.name).where(Member.on_duty))).first()

    @always
    async def the_desk_is_attended(self, session: AsyncSession) -> None:
        """After each COMMIT somebody is on duty."""
        on_duty = await session.scalar(select(func.count()).where(Member.on_duty))
        assert on_duty == 1, f"{on_duty} members are on duty, expected 1"


@planted_bug(
    of=DeskAlwaysAttended,
    token="lab1:scenarios.in_between:OffDutyBeforeOn::-:ann4.caller2:zatt5:invariant.bpot:gcgkxv",
    cause="who leaves commits before who comes, so in between nobody is on duty",
    fix="write both in one transaction",
)
@dataclass(frozen=True)
class OffDutyBeforeOn(DeskAlwaysAttended):
    """Lets one member go first and the other one come then."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        """Two transactions."""
        await self.put(session, 1, on_duty=False)
        await session.commit()
        await self.put(session, 2, on_duty=True)
        await session.commit()


@claim(
    title="A stock is never below zero, not even until it is refilled",
    acid="Consistency",
    critical="what is sold while the stock is below zero cannot be delivered, and the refill hides that it was",
    test="tests/database/test_database_in_between.py::test_a_stock_is_not_negative_in_between",
)
@dataclass(frozen=True)
class StockNeverNegative(Scenario):
    """Two sales of one article, each of which refills the stock where it is too small."""

    stock: int = 5
    sold: int = 3
    refill: int = 10

    metadata = Bank.metadata

    async def setup(self, session: AsyncSession) -> None:
        """The stock."""
        session.add(Counter(id=1, value=self.stock))

    async def sell(self, session: AsyncSession) -> None:
        """Lock the stock, refill it where it is too small, and take from it."""
        article = await session.get_one(Counter, 1, with_for_update=True)
        if article.value < self.sold:
            article.value += self.refill
        article.value -= self.sold
        await session.commit()

    @actor
    async def ann(self, session: AsyncSession) -> None:
        """Sells."""
        await self.sell(session)

    @actor
    async def ben(self, session: AsyncSession) -> None:
        """Sells as well."""
        await self.sell(session)

    @always
    async def the_stock_is_not_negative(self, session: AsyncSession) -> None:
        """After each COMMIT there is as much as was sold."""
        value = await session.scalar(select(Counter.value).where(Counter.id == 1))
        assert value is not None
        assert value >= 0, f"the stock is {value}"


@planted_bug(
    of=StockNeverNegative,
    token="lab1:scenarios.in_between:OversoldThenRefilled::-:ann.ben5.ann5:n2j5r:invariant.P4.z32v:s66bnt",
    cause="each sale reads the stock without a lock and takes from it by arithmetic, so two take what is there for "
    "one; who finds it below zero refills it afterwards, which hides that it was",
    fix="read the stock with SELECT ... FOR UPDATE, so that the second sale refills it before it takes from it",
)
@dataclass(frozen=True)
class OversoldThenRefilled(StockNeverNegative):
    """Looks, takes, and refills afterwards what has become too little."""

    async def sell(self, session: AsyncSession) -> None:
        """Take from the stock where it was large enough; look again afterwards."""
        if await self.left(session) < self.sold:
            await self.add(session, self.refill)
        await self.add(session, -self.sold)
        await session.commit()
        if await self.left(session) < 0:
            await self.add(session, self.refill)
        await session.commit()

    async def left(self, session: AsyncSession) -> int:
        """The stock as it is committed."""
        return (await session.scalars(select(Counter.value).where(Counter.id == 1))).one()

    async def add(self, session: AsyncSession, amount: int) -> None:
        """Change the stock by arithmetic."""
        await session.execute(update(Counter).where(Counter.id == 1).values(value=Counter.value + amount))
