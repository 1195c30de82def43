"""Atomic transfer: money moves from one account to another whole, or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant


class Base(DeclarativeBase):
    """Tables of this subject."""


class Account(Base):
    """An account and its balance."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


@dataclass(frozen=True)
class LostUpdate(Scenario):
    balance: int = 100
    amount: int = 30
    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Account(id=1, balance=self.balance), Account(id=2, balance=self.balance)])

    async def move(self, session, source, target, amount):
        async with session.begin():
            payer = await session.get(Account, source)
            payee = await session.get(Account, target)
            payer.balance -= amount
            payee.balance += amount

    @actor
    async def alice(self, session: AsyncSession) -> None:
        await self.move(session, 1, 2, self.amount)

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await self.move(session, 2, 1, self.amount)

    @invariant
    async def money_is_conserved(self, session: AsyncSession) -> None:
        total = await session.scalar(select(func.sum(Account.balance)))
        assert total == 2 * self.balance, f"the accounts hold {total}, expected {2 * self.balance}"
