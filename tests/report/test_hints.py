"""Beside an error that says little, the report says what usually is behind it."""

from __future__ import annotations

import pytest
from helpers.kit import Account, Bank
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from lab import Scenario, actor, invariant
from lab.errors import ScenarioError
from lab.model.outcome import Outcome
from lab.search.hunt import Hunt


class Base(DeclarativeBase):
    """Orders and their customers."""


class Customer(Base):
    __tablename__ = "customer"
    id: Mapped[int] = mapped_column(primary_key=True)
    orders: Mapped[list[Order]] = relationship()


class Order(Base):
    __tablename__ = "order"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customer.id"))


class Expired(Bank):
    """An object is used after COMMIT."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> int:
        account = await session.get_one(Account, 1)
        await session.commit()
        return account.balance


class Detached(Bank):
    """The same after the session's end."""

    @actor(names=("alice", "bob"))
    async def work(self, sessions: async_sessionmaker[AsyncSession]) -> int:
        async with sessions() as session:
            account = await session.get_one(Account, 1)
            await session.commit()
        return account.balance


class Lazy(Scenario):
    """A relationship is read without await."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add(Customer(id=1))

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> int:
        return len((await session.get_one(Customer, 1)).orders)


class Compared(Bank):
    """An invariant forgets `.value`."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> int:
        return (await session.get_one(Account, 1)).balance

    @invariant
    async def alice_sees_it(self, outcome: Outcome) -> None:
        assert outcome.results["alice"] == 100


class Asked(Compared):
    """Another one asks whether there is a result, which there always is."""

    @invariant
    async def alice_sees_it(self, outcome: Outcome) -> None:
        assert outcome.results["alice"]


@pytest.mark.parametrize(
    ("scenario", "hint"),
    [(Expired, "expire_on_commit=False"), (Detached, "expire_on_commit=False"), (Lazy, "selectinload")],
)
async def test_an_attribute_out_of_reach_comes_with_what_makes_it_reachable(explorer, scenario, hint):
    result = await Hunt.of(scenario(), executions=2).run(explorer)
    (line,) = {line for line in result.failures[0].report.splitlines() if hint in line}
    assert line.startswith("    ")


@pytest.mark.parametrize(("scenario", "word"), [(Compared, "compared with 100"), (Asked, "neither true nor false")])
async def test_a_result_that_is_taken_for_its_value_is_an_error_of_the_invariant(explorer, scenario, word):
    with pytest.raises(ScenarioError, match=rf"alice_sees_it .*{word}.*\.value"):
        await Hunt.of(scenario(), executions=2).run(explorer)
