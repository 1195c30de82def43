"""Idempotency keys: a payment that is sent twice is charged once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Charge, PaymentKey, Shop

__all__ = ["KeySelectedThenInserted", "PaymentSentTwice"]

KEY = "order-1"


@claim(
    title="A repeated request is done once",
    acid="Consistency",
    critical="the customer pays twice",
    test="tests/database/test_database_invariants.py::test_idempotency_key",
)
@dataclass(frozen=True)
class PaymentSentTwice(Scenario):
    """An impatient client sends a payment again while the first request is under way.

    Each request first claims the key by INSERT … ON CONFLICT DO NOTHING; the second one waits, and then does nothing.
    """

    amount: int = 25

    metadata = Shop.metadata

    async def claim(self, session: AsyncSession) -> bool:
        """Whether this request is the one that charges."""
        claimed = insert(PaymentKey).values(key=KEY).on_conflict_do_nothing().returning(PaymentKey.key)
        return await session.scalar(claimed) is not None

    @actor(names=("request", "repetition"))
    async def pay(self, session: AsyncSession) -> str:
        """Charges the customer unless that was done."""
        async with session.begin():
            if not await self.claim(session):
                return "paid before"
            session.add(Charge(key=KEY, amount=self.amount))
            return "paid"

    @invariant
    async def the_customer_is_charged_once(self, session: AsyncSession) -> None:
        """There is one charge for the key."""
        charges = await session.scalar(select(func.count(Charge.id)).where(Charge.key == KEY))
        assert charges == 1, f"there are {charges} charges for the key"


@planted_bug(
    of=PaymentSentTwice,
    token="lab1:scenarios.idempotency:KeySelectedThenInserted::-:request.repetition3.request2:nro24:fees6h",
    cause="both requests look for a charge with the key before either of them has committed one",
    fix="let a unique key decide: INSERT ... ON CONFLICT DO NOTHING before charging",
)
@dataclass(frozen=True)
class KeySelectedThenInserted(PaymentSentTwice):
    """Looks for a charge with the key and charges if there is none."""

    async def claim(self, session: AsyncSession) -> bool:
        """Whether no charge with the key is there yet."""
        return await session.scalar(select(Charge.id).where(Charge.key == KEY)) is None
