"""Two requests that count rightly. What is hostile derives from it and does something else in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, invariant

METADATA = MetaData()
counter = Table("counter", METADATA, Column("id", Integer, primary_key=True), Column("value", Integer))
ADD = update(counter).values(value=counter.c.value + 1)


@dataclass(frozen=True)
class Quiet(Scenario):
    """Right as it is."""

    metadata = METADATA

    async def setup(self, session: AsyncSession) -> None:
        await session.execute(insert(counter).values(id=1, value=0))

    async def before(self, session: AsyncSession) -> object:
        """What ann does before it counts."""

    async def after(self, session: AsyncSession) -> object:
        """What ann does after its commit; the last is what it returns."""

    async def judge(self, session: AsyncSession) -> None:
        """What the invariant does before it looks."""

    @actor
    async def ann(self, session: AsyncSession) -> object:
        await self.before(session)
        await session.execute(ADD)
        await session.commit()
        return await self.after(session)

    @actor
    async def ben(self, session: AsyncSession) -> None:
        await session.execute(ADD)
        await session.commit()

    @invariant
    async def what_is_committed_counts(self, session: AsyncSession, outcome: Outcome) -> None:
        await self.judge(session)
        committed = {"ann", "ben"} & set(outcome.committed)  # what others commit is their own business
        assert await session.scalar(select(func.sum(counter.c.value))) >= len(committed)


def hostile(module: str, name: str, **methods: Callable[..., Any] | object) -> type[Quiet]:
    """A variant of `Quiet` with some methods of its own."""
    made = type(name, (Quiet,), {"__module__": module, "__doc__": name, **methods})
    return dataclass(frozen=True)(made) if "__post_init__" in methods else made  # a millisecond each, of hundreds


def sql(statement: str) -> Callable[[Quiet, AsyncSession], Any]:
    """A method that executes one statement and commits."""

    async def method(self: Quiet, session: AsyncSession) -> None:
        await session.execute(text(statement))
        await session.commit()

    return method


def call(function: Callable[[], object]) -> Callable[[Quiet, AsyncSession], Any]:
    """A method that calls a function."""

    async def method(self: Quiet, session: AsyncSession) -> object:
        return function()

    return method
