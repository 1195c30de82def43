"""Scenarios for `endurance.py`: frozen waiters, an actor that never awaits, a crash in every execution."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant


class Base(DeclarativeBase):
    """The one table."""


class Counter(Base):
    """Something that is counted."""

    __tablename__ = "counter"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


@dataclass(frozen=True)
class Queue(Scenario):
    """Five requests lock one row, one after the other: most are frozen at any moment."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        """One counter at 0."""
        session.add(Counter(id=1, value=0))

    @actor(names=("first", "second", "third", "fourth", "fifth"))
    async def request(self, session: AsyncSession) -> None:
        """Counts one."""
        counter = (await session.scalars(select(Counter).with_for_update())).one()
        counter.value += 1
        await session.commit()


@dataclass(frozen=True)
class Pair(Queue):
    """Two requests, for many quick executions."""

    request = None

    @actor(names=("ann", "ben"))
    async def locked(self, session: AsyncSession) -> None:
        """Counts one under a lock."""
        counter = (await session.scalars(select(Counter).with_for_update())).one()
        counter.value += 1
        await session.commit()


@dataclass(frozen=True)
class Lost(Queue):
    """Three requests read before they write: the search fails soon, and minimising and remedies take a while."""

    request = None

    @actor(names=("ann", "ben", "eve"))
    async def unlocked(self, session: AsyncSession) -> None:
        """Counts one, without a lock."""
        counter = (await session.scalars(select(Counter))).one()
        counter.value += 1
        await session.commit()

    @invariant
    async def every_request_counts(self, session: AsyncSession) -> None:
        """Three requests make three."""
        assert (await session.scalars(select(Counter))).one().value == 3


@dataclass(frozen=True)
class Crash(Queue):
    """The server crashes in every execution."""

    faults = ("crash",)
    faults_at_least = 1


@dataclass(frozen=True)
class Busy(Queue):
    """One request computes for ever without an await."""

    @actor
    async def computing(self, session: AsyncSession) -> None:
        """Holds the row's lock meanwhile."""
        await session.scalars(select(Counter).with_for_update())
        while True:
            pass
