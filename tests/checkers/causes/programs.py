"""What programs that are wrong in a known way share with others: the tables, and a maker of scenarios."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ForeignKey, func, select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant

Work = Callable[[AsyncSession, str], Awaitable[Any]]
Check = Callable[..., Awaitable[None]]
PAIR = ("ann", "ben")


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]
    note: Mapped[str] = mapped_column(default="")


class Member(Base):
    __tablename__ = "member"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Job(Base):
    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="new")
    runs: Mapped[int] = mapped_column(default=0)


class Parent(Base):
    __tablename__ = "parent"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(default=0)


class Child(Base):
    __tablename__ = "child"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parent.id"))


async def _setup(self: Scenario, session: AsyncSession) -> None:
    session.add_all([Account(id=number, balance=100) for number in (1, 2)])
    session.add_all([Job(id=number) for number in (1, 2)])
    session.add_all([Parent(id=number) for number in (1, 2)])


def scenario(work: Work, check: Check, *, names: tuple[str, ...] = PAIR, level: str = "READ COMMITTED") -> Scenario:
    """A scenario whose actors all do `work`, which gets their names; `check` is its invariant."""

    async def act(self: Scenario, session: AsyncSession, name: str) -> Any:
        return await work(session, name)

    async def holds(self: Scenario, session: AsyncSession, outcome: Any) -> None:
        await check(session, outcome)

    body = {"metadata": Base.metadata, "isolation": level, "setup": _setup}
    body |= {"act": actor(names=names)(act), "it_holds": invariant(holds), "__module__": __name__}
    return dataclass(frozen=True)(type(work.__name__, (Scenario,), body))()


async def execute(session: AsyncSession, *statements: str, **values: Any) -> Any:
    """Send text SQL; the result of the last statement."""
    result = None
    for each in statements:
        own = {name: value for name, value in values.items() if f":{name}" in each}
        result = await session.execute(sql(each), own)  # sends
    return result


def balance_is(expected: int, account: int = 1) -> Check:
    async def check(session: AsyncSession, outcome: Any) -> None:
        found = await session.scalar(select(Account.balance).where(Account.id == account))
        assert found == expected, f"account {account} holds {found}, expected {expected}"

    return check


def at_most(most: int, kind: type[Base]) -> Check:
    async def check(session: AsyncSession, outcome: Any) -> None:
        found = await session.scalar(select(func.count()).select_from(kind))
        assert found <= most, f"{found} rows"

    return check


async def not_both_empty(session: AsyncSession, outcome: Any) -> None:
    total = await session.scalar(select(func.sum(Account.balance)))
    assert total >= 100, f"the accounts hold {total}"


async def no_job_runs_twice(session: AsyncSession, outcome: Any) -> None:
    runs = (await session.scalars(select(Job.runs))).all()
    assert max(runs) <= 1, "a job ran twice"


async def nobody_is_refused(session: AsyncSession, outcome: Any) -> None:
    refused = [name for name, result in outcome.results.items() if result.aborted]
    assert not refused, f"{refused} refused"


async def anything(session: AsyncSession, outcome: Any) -> None:
    """Holds always."""
