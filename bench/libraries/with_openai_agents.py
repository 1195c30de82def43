"""openai-agents 0.12.5: two sessions with `create_tables=True` that start at the same time."""

from agents.extensions.memory import SQLAlchemySession
from sqlalchemy.ext.asyncio import create_async_engine

from lab import Scenario, actor

ENGINE = create_async_engine("postgresql+asyncpg://nobody@nowhere.invalid/none")


class BothCreateTables(Scenario):
    """Two requests with a session each, in a database without tables."""

    @actor(names=("alice", "bob"))
    async def add(self, name: str) -> int:
        """One request."""
        session = SQLAlchemySession(name, engine=ENGINE, create_tables=True)
        await session.add_items([{"role": "user", "content": name}])
        return len(await session.get_items())
