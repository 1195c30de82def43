"""Remedies written into the code as a developer would write them: levels, locks on rows, and one UPDATE."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.kit import Account as KitAccount
from helpers.not_yet_mended import LockEndsFirst, ReadInText, SumInText, Withdrawals
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant
from scenarios.booking import BookedWithoutLock, LooksByAnOlderSnapshot, RoomTakenError, overlapping
from scenarios.cascade import AGENT, OrmOnlyCascade
from scenarios.coupon import CountsThenRedeems, UsedUpError
from scenarios.credit import LimitCheckedInPython, LimitReachedError
from scenarios.isolation import ReadSkewAnomaly, WriteSkewAnomaly, add_to
from scenarios.last_admin import CountsAdminsWithoutLock
from scenarios.retry import retried
from scenarios.schema import Account, Coupon, CreditLine, LegacyAgent, LegacyExecution, Redemption, Room
from scenarios.transfer import InsufficientFundsError, LostUpdate, TwoTransactions, refuse_overdraft

# ---------------------------------------------------------------------- lost update


class TransferForUpdate(LostUpdate):
    """The reads lock, in the order in which they stood."""

    async def move(self, session: AsyncSession, source: int, target: int) -> None:
        async with session.begin():
            payer = await session.get_one(Account, source, with_for_update=True)
            payee = await session.get_one(Account, target, with_for_update=True)
            refuse_overdraft(payer, self.amount)
            payer.balance -= self.amount
            payee.balance += self.amount


class TransferLockedFirst(LostUpdate):
    """Both rows are locked by key before all else."""

    async def move(self, session: AsyncSession, source: int, target: int) -> None:
        async with session.begin():
            both = select(Account.id).where(Account.id.in_([source, target])).order_by(Account.id)
            await session.execute(both.with_for_update())
            payer = await session.get_one(Account, source)
            payee = await session.get_one(Account, target)
            refuse_overdraft(payer, self.amount)
            payer.balance -= self.amount
            payee.balance += self.amount


class TransferRetried(LostUpdate):
    """A retry loop around the transaction."""

    async def move(self, session: AsyncSession, source: int, target: int) -> None:
        async def work() -> None:
            payer = await session.get_one(Account, source)
            payee = await session.get_one(Account, target)
            refuse_overdraft(payer, self.amount)
            payer.balance -= self.amount
            payee.balance += self.amount

        await retried(session, work)


class TransferAtRepeatableRead(TransferRetried):
    """The same at a higher level."""

    isolation = "REPEATABLE READ"


class TransferInAtomicUpdates(LostUpdate):
    """Each balance is changed where it stands; the payer's only where it is enough."""

    async def move(self, session: AsyncSession, source: int, target: int) -> None:
        async with session.begin():
            paid = update(Account).where(Account.id == source, Account.balance >= self.amount)
            paid = paid.values(balance=Account.balance - self.amount).returning(Account.id)
            if await session.scalar(paid) is None:
                raise InsufficientFundsError
            await add_to(session, target, self.amount)


class Versioned(DeclarativeBase):
    """Accounts of which each change has a number."""


class VersionedAccount(Versioned):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  SQLAlchemy reads it from the class body


@dataclass(frozen=True)
class TransferWithVersions(Scenario):
    """The same two transfers, read, modified and written back, with a version column."""

    metadata = Versioned.metadata
    allows = (InsufficientFundsError,)

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([VersionedAccount(id=number, balance=100) for number in (1, 2)])

    async def move(self, session: AsyncSession, source: int, target: int) -> None:
        async with session.begin():
            payer = await session.get_one(VersionedAccount, source)
            payee = await session.get_one(VersionedAccount, target)
            if payer.balance < 30:
                raise InsufficientFundsError
            payer.balance -= 30
            payee.balance += 30

    @actor
    async def alice(self, session: AsyncSession) -> None:
        await self.move(session, 1, 2)

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await self.move(session, 2, 1)

    @invariant
    async def every_transfer_arrives(self, session: AsyncSession, outcome: object) -> None:
        sent, got = (outcome.results[name].returned for name in ("alice", "bob"))  # type: ignore[attr-defined]
        balances = (await session.scalars(select(VersionedAccount.balance).order_by(VersionedAccount.id))).all()
        assert list(balances) == [100 + 30 * (got - sent), 100 + 30 * (sent - got)]


class TransferInOneTransaction(TwoTransactions):
    """Both legs, as they were, in one transaction; the auditor is there."""

    async def move(self, session: AsyncSession, source: int, target: int) -> None:
        async with session.begin():
            payer = await session.get_one(Account, source, with_for_update=True)
            refuse_overdraft(payer, self.amount)
            payer.balance -= self.amount
            await session.flush()
            payee = await session.get_one(Account, target, with_for_update=True)
            payee.balance += self.amount


class LimitInAtomicUpdate(LimitCheckedInPython):
    """One UPDATE adds the amount, and its WHERE asks whether it may."""

    async def reserve(self, session: AsyncSession) -> None:
        room = CreditLine.used + self.amount <= CreditLine.ceiling
        taken = update(CreditLine).where(CreditLine.id == 1, room).values(used=CreditLine.used + self.amount)
        if await session.scalar(taken.returning(CreditLine.id)) is None:
            raise LimitReachedError


class LimitInAtomicUpdateUnchecked(LimitCheckedInPython):
    """One UPDATE adds the amount, and the check stays where it was."""

    async def reserve(self, session: AsyncSession) -> None:
        used, ceiling = (await session.execute(select(CreditLine.used, CreditLine.ceiling))).one()
        if used + self.amount > ceiling:
            raise LimitReachedError
        await session.execute(update(CreditLine).where(CreditLine.id == 1).values(used=CreditLine.used + self.amount))


# ---------------------------------------------------------------------- what was checked changes


class RoomLockedFirst(BookedWithoutLock):
    """The room's row is locked before anybody looks."""

    async def make_sure_it_is_free(self, session: AsyncSession, starts: int, ends: int) -> None:
        await session.execute(select(Room.id).where(Room.id == 1).with_for_update())
        await super().make_sure_it_is_free(session, starts, ends)


class RoomLockedFirstInASnapshot(RoomLockedFirst):
    """The same at REPEATABLE READ."""

    isolation = LooksByAnOlderSnapshot.isolation


class OverlapForUpdate(BookedWithoutLock):
    """What is looked for is locked, if it is there."""

    async def make_sure_it_is_free(self, session: AsyncSession, starts: int, ends: int) -> None:
        if (await session.scalars(overlapping(starts, ends).with_for_update())).first() is not None:
            raise RoomTakenError


class AgentForUpdate(OrmOnlyCascade):
    """Both lock the agent where they look for it."""

    async def delete_agent(self, session: AsyncSession) -> None:
        async with session.begin():
            agent = await session.get_one(LegacyAgent, AGENT, with_for_update=True)
            runs = select(LegacyExecution).where(LegacyExecution.agent_id == AGENT)
            await session.execute(runs.with_for_update())
            await session.delete(agent)

    @actor(allows=("23503",))
    async def starter(self, session: AsyncSession) -> None:
        async with session.begin():
            found = select(LegacyAgent.agent_id).where(LegacyAgent.agent_id == AGENT).with_for_update()
            if await session.scalar(found) is not None:
                session.add(LegacyExecution(agent_id=AGENT))


class RedemptionsForUpdate(CountsThenRedeems):
    """The redemptions that are there are locked before they are counted."""

    async def use(self, session: AsyncSession) -> None:
        coupon = await session.get_one(Coupon, 1)
        mine = select(Redemption.id).where(Redemption.coupon_id == 1).order_by(Redemption.id)
        await session.execute(mine.with_for_update())
        redeemed = await session.scalar(select(func.count(Redemption.id)).where(Redemption.coupon_id == 1)) or 0
        if redeemed >= coupon.ceiling:
            raise UsedUpError


class CouponLockedFirst(CountsThenRedeems):
    """The coupon's row is locked before the redemptions are counted."""

    async def use(self, session: AsyncSession) -> None:
        await session.execute(select(Coupon.id).where(Coupon.id == 1).with_for_update())
        await super().use(session)


class AdminsAtRepeatableRead(CountsAdminsWithoutLock):
    """A retry loop, at a level that refuses two writes of one row only."""

    isolation = "REPEATABLE READ"

    @actor(names=("ann", "ben"))
    async def admin(self, session: AsyncSession, name: str) -> None:
        await retried(session, lambda: self.resign(session, name))


class AdminsAtSerializable(AdminsAtRepeatableRead):
    """The same at the highest level."""

    isolation = "SERIALIZABLE"


class SumLockedBeforeIt(WriteSkewAnomaly):
    """PostgreSQL locks nothing behind sum(): a SELECT before it does."""

    async def withdraw(self, session: AsyncSession, account: int) -> str:
        amount = self.balance * 3 // 2
        async with session.begin():
            await session.execute(select(Account.id).order_by(Account.id).with_for_update())
            together = await session.scalar(select(func.sum(Account.balance))) or 0
            if together < amount:
                return "refused"
            await add_to(session, account, -amount)
            return "paid"


class ReadAtRepeatableRead(ReadSkewAnomaly):
    """Both reads see one moment."""

    isolation = "REPEATABLE READ"


class ReadInOneStatement(ReadSkewAnomaly):
    """Both balances in one SELECT."""

    @actor
    async def reader(self, session: AsyncSession) -> int:
        async with session.begin():
            return sum(await session.scalars(select(Account.balance).where(Account.id.in_([1, 2]))))


# ---------------------------------------------------------------------- two transactions, and text


class CheckedTogether(Withdrawals):
    """Check and write in one transaction; what is checked is locked."""

    @actor(names=("ann", "ben"))
    async def withdraw(self, session: AsyncSession) -> None:
        row = select(KitAccount.balance).where(KitAccount.id == 1).with_for_update()
        if (await session.scalar(row) or 0) >= 60:
            await self.take(session)
        await session.commit()


class LockHeldUntilTheEnd(LockEndsFirst):
    """Check and write in one transaction; the check locked before, too."""

    @actor(names=("ann", "ben"))
    async def withdraw(self, session: AsyncSession) -> None:
        row = select(KitAccount.balance).where(KitAccount.id == 1).with_for_update()
        if (await session.scalar(row) or 0) >= 60:
            await self.take(session)
        await session.commit()


class CheckedTogetherWithoutLock(Withdrawals):
    """Check and write in one transaction, and nothing else."""

    @actor(names=("ann", "ben"))
    async def withdraw(self, session: AsyncSession) -> None:
        if (await session.scalar(select(KitAccount.balance).where(KitAccount.id == 1)) or 0) >= 60:
            await self.take(session)
        await session.commit()


class LockedInText(ReadInText):
    """The text locks what it reads."""

    reads = f"{ReadInText.reads} FOR UPDATE"


class SumLockedInText(SumInText):
    """The rows are locked before the text adds them up."""

    locks = "SELECT id FROM account ORDER BY id FOR UPDATE"
