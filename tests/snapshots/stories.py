"""Scenarios whose failures are pinned word by word."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from helpers.kit import Account, Bank, add, lock
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor, invariant


@dataclass(frozen=True)
class Withdrawals(Bank):
    """Two withdrawals by read, modify, write."""

    amount: int = 30

    async def withdraw(self, session: AsyncSession) -> int:
        account = await session.get_one(Account, 1)
        account.balance -= self.amount
        await session.commit()
        return self.amount

    @actor
    async def alice(self, session: AsyncSession) -> int:
        return await self.withdraw(session)

    @actor
    async def bob(self, session: AsyncSession) -> int:
        return await self.withdraw(session)

    @invariant
    async def no_withdrawal_is_lost(self, session: AsyncSession) -> None:
        balance = await session.scalar(select(Account.balance).where(Account.id == 1))
        expected = 100 - 2 * self.amount
        assert balance == expected, f"account 1 ended at {balance}, expected {expected}"


@dataclass(frozen=True)
class Registrations(Bank):
    """Two requests insert the same key, and nobody expects the error."""

    @actor
    async def alice(self, session: AsyncSession) -> None:
        await session.execute(insert(Account).values(id=7, balance=1))
        await session.commit()

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await session.execute(insert(Account).values(id=7, balance=2))
        await session.commit()


@dataclass(frozen=True)
class Stuck(Bank):
    """A lock of the process and a lock of the database, taken in opposite order."""

    guard: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False, repr=False)

    @actor
    async def alice(self, session: AsyncSession) -> None:
        async with self.guard:
            await session.execute(lock(1))

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await session.execute(lock(1))
        async with self.guard:
            await session.commit()


@dataclass(frozen=True)
class Crossed(Bank):
    """Two transfers lock two rows in opposite order, and one of them may not be refused."""

    async def transfer(self, session: AsyncSession, source: int, target: int) -> None:
        await session.execute(add(source, -10))
        await session.execute(add(target, 10))
        await session.commit()

    @actor
    async def alice(self, session: AsyncSession) -> None:
        await self.transfer(session, 1, 2)

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await self.transfer(session, 2, 1)

    @invariant
    async def nobody_is_refused(self, session: AsyncSession, outcome) -> None:
        refused = [name for name, result in outcome.results.items() if result.aborted]
        assert not refused, f"{refused} refused"


@dataclass(frozen=True)
class Crowd(Bank):
    """Five requests, of which one is a step too early."""

    @actor(names=("alice", "bob", "cleo", "dan"))
    async def guest(self, session: AsyncSession) -> None:
        await session.execute(add(1, 1))
        await session.commit()

    @actor
    async def auditor(self, session: AsyncSession) -> int | None:
        return await session.scalar(text("SELECT balance FROM account WHERE id = 1"))

    @invariant
    async def the_auditor_comes_last(self, outcome) -> None:
        seen = outcome.results["auditor"].value
        assert seen == 104, f"the auditor saw {seen}, expected 104"
