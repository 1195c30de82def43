"""Each test finds migrated and empty tables in the database that SHOP_DATABASE_URL names."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shop.db import SessionFactory, engine
from shop.main import app
from shop.models import Base, Coupon, Customer, Product


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def migrated() -> None:
    command.upgrade(Config(Path(__file__).parents[1] / "alembic.ini"), "head")


@pytest.fixture
async def session(migrated: None) -> AsyncIterator[AsyncSession]:
    tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
    async with SessionFactory() as session:
        await session.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
        await session.commit()
        yield session
    await engine.dispose()


@pytest.fixture
async def client(session: AsyncSession) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://shop") as client:
        yield client


@pytest.fixture
async def customers(session: AsyncSession) -> list[Customer]:
    found = [Customer(username=name, email=f"{name}@example.org", points=100) for name in ("alice", "bob")]
    session.add_all(found)
    await session.commit()
    return found


@pytest.fixture
async def mug(session: AsyncSession) -> Product:
    product = Product(sku="MUG", name="Mug", price_cents=900, stock=3)
    session.add(product)
    await session.commit()
    return product


@pytest.fixture
async def coupon(session: AsyncSession) -> Coupon:
    coupon = Coupon(code="WELCOME", points=50, redeemable=1)
    session.add(coupon)
    await session.commit()
    return coupon
