"""The engine, the session factory, and the session of one request."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from shop.settings import get_settings

settings = get_settings()
engine = create_async_engine(
    settings.database_url, pool_size=settings.pool_size, pool_pre_ping=True, echo=settings.echo_sql
)
SessionFactory = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    """One session for each request; services commit."""
    async with SessionFactory() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]
