"""A coupon that may be redeemed a number of times, and never more."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, claim, invariant, planted_bug
from scenarios.schema import Coupon, Redemption, Shop

__all__ = ["CountsThenRedeems", "CouponLimit", "UsedUpError"]


class UsedUpError(Exception):
    """The coupon has been redeemed as often as it may be."""


@claim(
    title="A coupon is redeemed as often as allowed",
    acid="Consistency",
    critical="every redemption over the limit is given away",
    test="tests/database/test_database_invariants.py::test_coupon_limit",
)
@dataclass(frozen=True)
class CouponLimit(Scenario):
    """Three customers redeem a coupon that is good for two.

    A conditional UPDATE of the coupon's row counts the use and refuses the one too many.
    """

    ceiling: int = 2

    metadata = Shop.metadata
    allows = (UsedUpError,)

    async def setup(self, session: AsyncSession) -> None:
        """The coupon."""
        session.add(Coupon(id=1, ceiling=self.ceiling, used=0))

    async def use(self, session: AsyncSession) -> None:
        """Count a use; raise `UsedUpError` if there are as many as there may be."""
        counted = update(Coupon).where(Coupon.id == 1, Coupon.used < Coupon.ceiling).values(used=Coupon.used + 1)
        if await session.scalar(counted.returning(Coupon.id)) is None:
            raise UsedUpError

    @actor(names=("ann", "ben", "cleo"))
    async def customer(self, session: AsyncSession) -> None:
        """Redeems the coupon."""
        async with session.begin():
            await self.use(session)
            session.add(Redemption(coupon_id=1))

    @invariant
    async def the_coupon_is_not_overused(self, session: AsyncSession) -> None:
        """There are no more redemptions than allowed."""
        redeemed = await session.scalar(select(func.count(Redemption.id))) or 0
        assert redeemed <= self.ceiling, f"redeemed {redeemed} times, allowed {self.ceiling}"


@planted_bug(
    of=CouponLimit,
    token="lab1:scenarios.coupon:CountsThenRedeems::-:ann3.ben4.cleo4.ann:m5qwf:r4wcym",
    cause="each request counts the committed redemptions only, so it misses those of transactions still open",
    fix="count in the coupon's row by a conditional UPDATE, or lock that row before counting",
)
@dataclass(frozen=True)
class CountsThenRedeems(CouponLimit):
    """Counts the redemptions and inserts another one if there is room."""

    async def use(self, session: AsyncSession) -> None:
        """Look whether there is room."""
        coupon = await session.get_one(Coupon, 1)
        redeemed = await session.scalar(select(func.count(Redemption.id)).where(Redemption.coupon_id == 1)) or 0
        if redeemed >= coupon.ceiling:
            raise UsedUpError
