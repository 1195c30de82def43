"""Two requests that count: rightly, and by read, modify, write."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant, planted_bug, probe


class Base(DeclarativeBase):
    """The tables of these scenarios."""


class Counter(Base):
    """A number that is counted up."""

    __tablename__ = "counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


@dataclass(frozen=True)
class Counted(Scenario):
    """Two requests each add to one counter in the database."""

    start: int = 0
    amount: int = 1
    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add(Counter(id=1, value=self.start))

    async def add(self, session: AsyncSession) -> None:
        await session.execute(update(Counter).values(value=Counter.value + self.amount))
        await session.commit()

    @actor
    async def ann(self, session: AsyncSession) -> None:
        await self.add(session)

    @actor
    async def ben(self, session: AsyncSession) -> None:
        await self.add(session)

    @invariant
    async def every_request_counts(self, session: AsyncSession) -> None:
        counter = await session.get_one(Counter, 1)
        expected = self.start + 2 * self.amount
        assert counter.value == expected, f"the counter stands at {counter.value}, expected {expected}"


@planted_bug(of=Counted, cause="a stale read", fix="count in the database")
@dataclass(frozen=True)
class LostCount(Counted):
    """Reads the counter, adds in Python, writes it back."""

    async def add(self, session: AsyncSession) -> None:
        counter = await session.get_one(Counter, 1)
        counter.value += self.amount
        await session.commit()


@probe
@dataclass(frozen=True)
class Refused(Counted):
    """The same at SERIALIZABLE, where one of the two may be refused."""

    isolation = "SERIALIZABLE"
    add = LostCount.add
    every_request_counts = None
