"""Products and their stock."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shop.errors import NotFoundError
from shop.models import Product


async def get_product(session: AsyncSession, sku: str) -> Product:
    """The product with this number."""
    product = await session.scalar(select(Product).where(Product.sku == sku))
    if product is None:
        raise NotFoundError(f"no product {sku}")
    return product


async def restock(session: AsyncSession, sku: str, quantity: int) -> Product:
    """Goods came in."""
    statement = update(Product).where(Product.sku == sku).values(stock=Product.stock + quantity).returning(Product)
    product = await session.scalar(statement)
    if product is None:
        raise NotFoundError(f"no product {sku}")
    await session.commit()
    return product
