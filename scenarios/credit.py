"""A credit limit: all purchases together must stay below it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import CreditLine, Purchase, Shop

__all__ = ["CreditLimit", "LimitCheckedInPython", "LimitReachedError"]


class LimitReachedError(Exception):
    """The purchase would exceed the credit limit."""


@claim(
    title="Orders stay within the credit limit",
    acid="Consistency",
    critical="an aggregate that is read, added to and written back forgets orders",
    test="tests/database/test_database_invariants.py::test_credit_limit",
)
@dataclass(frozen=True)
class CreditLimit(Scenario):
    """Of a limit of 1000, 900 are used; two orders of 80 arrive, and one of them must be refused.

    One UPDATE checks the limit and adds the amount, on the row as it stands when its lock is held.
    """

    ceiling: int = 1000
    used: int = 900
    amount: int = 80

    metadata = Shop.metadata
    allows = (LimitReachedError,)

    async def setup(self, session: AsyncSession) -> None:
        """A credit line, and the purchase that used most of it."""
        session.add(CreditLine(id=1, ceiling=self.ceiling, used=self.used))
        await session.flush()
        session.add(Purchase(credit_line_id=1, amount=self.used))

    async def reserve(self, session: AsyncSession) -> None:
        """Use the amount; raise `LimitReachedError` if there is not as much left."""
        room = CreditLine.used + self.amount <= CreditLine.ceiling
        taken = update(CreditLine).where(CreditLine.id == 1, room).values(used=CreditLine.used + self.amount)
        if await session.scalar(taken.returning(CreditLine.id)) is None:
            raise LimitReachedError

    @actor(names=("phone", "laptop"))
    async def order(self, session: AsyncSession) -> None:
        """Orders something for the amount."""
        async with session.begin():
            await self.reserve(session)
            session.add(Purchase(credit_line_id=1, amount=self.amount))

    @invariant
    async def purchases_stay_within_the_limit(self, session: AsyncSession) -> None:
        """The purchases sum up to the limit at most."""
        total = await session.scalar(select(func.sum(Purchase.amount))) or 0
        assert total <= self.ceiling, f"purchases of {total} on a limit of {self.ceiling}"

    @invariant
    async def what_is_used_is_what_was_bought(self, session: AsyncSession) -> None:
        """The aggregate equals the sum of what it stands for."""
        used = (await session.get_one(CreditLine, 1)).used
        total = await session.scalar(select(func.sum(Purchase.amount)))
        assert used == total, f"{used} are noted as used, {total} were bought"


@planted_bug(
    of=CreditLimit,
    token="lab1:scenarios.credit:LimitCheckedInPython::-:phone.laptop4.phone3:4zyqj:ks7sqe",
    cause="both orders read the same sum of used credit, find room for themselves and write back the same new sum",
    fix="check and add in one UPDATE, or lock the credit line before reading it",
)
@dataclass(frozen=True)
class LimitCheckedInPython(CreditLimit):
    """Reads the sum, adds the amount, checks it and writes it back."""

    async def reserve(self, session: AsyncSession) -> None:
        """Use the amount by read, check, write."""
        line = await session.get_one(CreditLine, 1)
        if line.used + self.amount > line.ceiling:
            raise LimitReachedError
        line.used += self.amount
