"""A service that sells the last item twice, and has never heard of the lab."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables."""


class Item(Base):
    """So many are left."""

    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    left: Mapped[int]


ENGINE = create_async_engine("postgresql+asyncpg://app@db.example/app")
SESSIONS = async_sessionmaker(ENGINE)


async def buy(item_id: int = 1, *, lock: bool = False) -> bool:
    """Whether there was one left."""
    async with SESSIONS() as session:
        item = await session.get_one(Item, item_id, with_for_update=lock)
        if not item.left:
            return False
        item.left -= 1
        await session.commit()
        return True
