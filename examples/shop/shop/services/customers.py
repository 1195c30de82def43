"""Customers and their profiles."""

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import ConflictError, NotFoundError
from shop.models import Customer


async def get_customer(session: AsyncSession, username: str) -> Customer:
    """The customer of this name."""
    customer = await session.scalar(select(Customer).where(Customer.username == username))
    if customer is None:
        raise NotFoundError(f"no customer {username}")
    return customer


async def sign_up(session: AsyncSession, username: str, email: str) -> Customer:
    """A new customer; a name is given once."""
    statement = (
        insert(Customer)
        .values(username=username, email=email)
        .on_conflict_do_nothing(index_elements=[Customer.username])
        .returning(Customer)
    )
    customer = await session.scalar(statement)
    if customer is None:
        raise ConflictError(f"{username} is taken")
    await session.commit()
    return customer


async def change_profile(session: AsyncSession, username: str, email: str, version: int) -> Customer:
    """Change a profile, unless somebody else did since it was read."""
    statement = (
        update(Customer)
        .where(Customer.username == username, Customer.version == version)
        .values(email=email, version=Customer.version + 1)
        .returning(Customer)
    )
    customer = await session.scalar(statement)
    if customer is None:
        await get_customer(session, username)
        raise ConflictError("the profile has changed meanwhile")
    await session.commit()
    return customer
