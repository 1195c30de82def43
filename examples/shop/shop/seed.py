"""A developer's database: `python -m shop.seed` migrates the one that is configured, and fills it."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from shop.db import engine
from shop.models import Cart, CartItem, Coupon, Customer, Order, OrderLine, Product


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest migration."""
    config = Config(Path(__file__).parents[1] / "alembic.ini")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def fill(session: AsyncSession) -> None:
    """Three customers, of whom two want the last mug; an order that is not paid, and a coupon for one."""
    customers = [Customer(username=name, email=f"{name}@example.org", points=100) for name in ("alice", "bob", "carol")]
    mug = Product(sku="MUG", name="Mug", price_cents=900, stock=1)
    pen = Product(sku="PEN", name="Pen", price_cents=200, stock=50)
    session.add_all([*customers, mug, pen, Coupon(code="WELCOME", points=50, redeemable=1)])
    await session.flush()
    for customer in customers[:2]:
        cart = Cart(customer_id=customer.id)
        session.add(cart)
        await session.flush()
        session.add(CartItem(cart_id=cart.id, product_id=mug.id, quantity=1))
    lines = [OrderLine(product_id=pen.id, quantity=2, price_cents=pen.price_cents)]
    session.add(Order(customer_id=customers[0].id, lines=lines))
    await session.flush()


async def prepare(connection: AsyncConnection) -> None:
    """Migrate and fill; the caller commits."""
    await connection.run_sync(migrate)
    async with AsyncSession(connection) as session:
        await fill(session)
        await session.commit()


async def main() -> None:
    """Prepare the configured database."""
    async with engine.connect() as connection:
        await prepare(connection)
        await connection.commit()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
