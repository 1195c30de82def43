"""Durability: what was acknowledged is still there after the server crashed and came up again."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import MetaData, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug

__all__ = ["AcknowledgedTooEarly", "CommitNotAwaited", "Durability", "Order"]


class Shop(DeclarativeBase):
    """A table by itself: each execution restores the tables of its metadata on a server that has just come up."""

    metadata = MetaData()


class Order(Shop):
    """An order and its amount."""

    __tablename__ = "order"

    id: Mapped[int] = mapped_column(primary_key=True)
    amount: Mapped[int]


@claim(
    title="What was acknowledged survives a crash of the server",
    acid="Durability",
    critical="the customer has been shown that it is done",
    test="tests/database/test_database_transaction_invariants.py::test_transaction_durability",
    max_examples=80,
)
@dataclass(frozen=True)
class Durability(Scenario):
    """Two requests place an order each and answer with its id: the acknowledgement. Every execution has its crash."""

    amount: int = 10

    metadata = Shop.metadata
    faults = ("crash",)
    faults_at_least = 1

    async def place_order(self, session: AsyncSession, number: int) -> int:
        """Insert the order, and return its id once it is committed."""
        async with session.begin():
            session.add(Order(id=number, amount=self.amount))
        return number

    @actor
    async def alice(self, session: AsyncSession) -> int:
        """Places order 1."""
        return await self.place_order(session, 1)

    @actor
    async def bob(self, session: AsyncSession) -> int:
        """Places order 2."""
        return await self.place_order(session, 2)

    @invariant
    async def what_was_acknowledged_is_there(self, session: AsyncSession, outcome: Outcome) -> None:
        """Each id that was returned names a row, with the amount that was asked for."""
        found = {order.id: order.amount for order in await session.scalars(select(Order))}
        acknowledged = [result.value for result in outcome.results.values() if result.returned]
        for number in acknowledged:
            assert number in found, f"order {number} was acknowledged and is gone"
            assert found[number] == self.amount, f"order {number} is over {found[number]}, expected {self.amount}"


@planted_bug(
    of=Durability,
    token="lab1:scenarios.durability:CommitNotAwaited::-:alice3.bob3.crash@server:vwjhc:dqbxcx",
    cause="with synchronous_commit=off the server answers a COMMIT before it has written it down",
    fix="leave synchronous_commit on for whatever is acknowledged to somebody",
)
@dataclass(frozen=True)
class CommitNotAwaited(Durability):
    """Turns synchronous_commit off to be quick."""

    async def place_order(self, session: AsyncSession, number: int) -> int:
        """Insert the order in a transaction whose COMMIT does not wait for the disk."""
        async with session.begin():
            await session.execute(text("SET LOCAL synchronous_commit = off"))
            session.add(Order(id=number, amount=self.amount))
        return number


@planted_bug(
    of=Durability,
    token="lab1:scenarios.durability:AcknowledgedTooEarly::-:alice2.bob.crash@server.bob:xsn6b:mvzhfv",
    cause="an error of the COMMIT is swallowed, and the id is returned all the same",
    fix="acknowledge only what a COMMIT has confirmed, and let its error reach the caller",
)
@dataclass(frozen=True)
class AcknowledgedTooEarly(Durability):
    """Takes a row that was inserted for one that is stored."""

    async def place_order(self, session: AsyncSession, number: int) -> int:
        """Insert the order, then commit as well as may be."""
        session.add(Order(id=number, amount=self.amount))
        await session.flush()
        try:
            await session.commit()
        except DBAPIError:
            await session.close()
        return number
