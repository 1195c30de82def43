"""Coupons: a code that gives points."""

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import ConflictError, NotFoundError
from shop.models import Coupon, Customer, Redemption
from shop.services.customers import get_customer


async def redeem(session: AsyncSession, username: str, code: str) -> int:
    """Redeem a coupon, and return the points that the customer has then."""
    customer = await get_customer(session, username)
    coupon = await session.scalar(select(Coupon).where(Coupon.code == code))
    if coupon is None:
        raise NotFoundError(f"no coupon {code}")
    redeemed = (await session.scalars(select(func.count()).where(Redemption.coupon_id == coupon.id))).one()
    if redeemed >= coupon.redeemable:
        raise ConflictError("the coupon is used up")
    session.add(Redemption(coupon_id=coupon.id, customer_id=customer.id))
    statement = (
        update(Customer)
        .where(Customer.id == customer.id)
        .values(points=Customer.points + coupon.points)
        .returning(Customer.points)
    )
    points = (await session.scalars(statement)).one()
    await session.commit()
    return points
