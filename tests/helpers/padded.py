"""A rare bug amid many harmless statements: for the search that finds it, and for what makes it small."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from helpers.kit import Account, Bank
from lab import Outcome, actor, invariant
from lab.model.outcome import Ending

PADDING = 7
RING = {"ann": 1, "ben": 2, "cat": 3, "dan": 4}


async def write(session: AsyncSession, account: int) -> None:
    await session.execute(update(Account).where(Account.id == account).values(balance=Account.balance + 1))


async def read(session: AsyncSession, account: int) -> int:
    return (await session.scalars(select(Account.balance).where(Account.id == account))).one()


async def pad(session: AsyncSession, account: int) -> None:
    for _ in range(PADDING):
        await read(session, account)


@dataclass(frozen=True)
class PaddedRing(Bank):
    """Four actors lock two neighbouring rows each, in a ring, with seven statements in between."""

    @actor(names=tuple(RING))
    async def locks(self, session: AsyncSession, name: str) -> None:
        async with session.begin():
            await write(session, RING[name])
            await pad(session, RING[name])
            await write(session, RING[name] % len(RING) + 1)

    @invariant
    async def nobody_is_refused(self, outcome: Outcome) -> None:
        assert outcome.ending is not Ending.DEADLOCKED
