"""A service that scenarios call from another file. Tests find its lines by the words behind them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import ForeignKey, select, text
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship


class Base(AsyncAttrs, DeclarativeBase):
    """The shop's tables."""


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    orders: Mapped[list[Order]] = relationship()


class Order(Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))
    paid: Mapped[bool] = mapped_column(default=False)


def line_of(mark: str) -> int:
    """The number of the line of this file that ends with these words as its comment."""
    lines = Path(__file__).read_text().splitlines()
    (found,) = (number for number, line in enumerate(lines, 1) if line.endswith(f"  # {mark}"))
    return found


async def pay_all(session: AsyncSession) -> None:
    customer = await session.get_one(Customer, 1)  # get
    for order in await customer.awaitable_attrs.orders:  # lazy load
        order.paid = True
    await session.commit()  # flush and COMMIT


def count_now(session: Session) -> int:
    return len(session.scalars(select(Order)).all())  # called by run_sync


def count_and_commit(session: Session) -> None:
    session.execute(text("SELECT 1"))  # text SQL called by run_sync
    session.commit()  # COMMIT called by run_sync


async def ask(session: AsyncSession) -> None:
    await session.execute(text("SELECT 1"))  # text SQL


async def ask_in_a_task(session: AsyncSession) -> None:
    await asyncio.create_task(ask(session))  # the task


async def ask_at_once(session: AsyncSession) -> None:
    await asyncio.gather(session.execute(text("SELECT 2")))  # a task of SQLAlchemy's only


async def pay(session: AsyncSession, first: int, second: int) -> None:
    (await session.get_one(Order, first)).paid = True
    await session.flush()  # the first order
    (await session.get_one(Order, second)).paid = True
    await session.flush()  # the second order
    await session.commit()
