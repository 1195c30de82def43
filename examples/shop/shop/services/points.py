"""Loyalty points: spent, or given to somebody else."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import ConflictError, NotFoundError
from shop.models import Customer
from shop.services.customers import get_customer


async def locked(session: AsyncSession, username: str) -> Customer:
    """A customer whose points are about to change."""
    statement = select(Customer).where(Customer.username == username).with_for_update()
    customer = await session.scalar(statement)
    if customer is None:
        raise NotFoundError(f"no customer {username}")
    return customer


async def transfer(session: AsyncSession, giver: str, receiver: str, points: int) -> int:
    """Give points to another customer; returns what the giver has left."""
    if giver == receiver:
        raise ConflictError("nobody gives points to themselves")
    source = await locked(session, giver)
    if source.points < points:
        raise ConflictError(f"only {source.points} points left")
    target = await locked(session, receiver)
    source.points -= points
    target.points += points
    await session.commit()
    return source.points


async def spend(session: AsyncSession, username: str, points: int) -> int:
    """Take points off; returns what is left."""
    statement = (
        update(Customer)
        .where(Customer.username == username, Customer.points >= points)
        .values(points=Customer.points - points)
        .returning(Customer.points)
    )
    left = await session.scalar(statement)
    if left is None:
        customer = await get_customer(session, username)
        raise ConflictError(f"only {customer.points} points left")
    await session.commit()
    return left
