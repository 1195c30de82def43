"""Small programs that are wrong in ways that the shipped scenarios are not, each with an invariant that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import CursorResult, ForeignKey, func, select, update
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from helpers.kit import Account, Bank
from lab import Outcome, Scenario, actor, invariant

PAIR = ("ann", "ben")


class Base(DeclarativeBase):
    """The tables of a small works."""


class Task(Base):
    __tablename__ = "task"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="new")
    runs: Mapped[int] = mapped_column(default=0)


class Tag(Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Parent(Base):
    __tablename__ = "parent"
    id: Mapped[int] = mapped_column(primary_key=True)
    children: Mapped[int] = mapped_column(default=0)


class Child(Base):
    __tablename__ = "child"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parent.id"))


class Works(Scenario):
    """Two tasks and a parent."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Task(id=1), Task(id=2), Parent(id=1)])


@dataclass(frozen=True)
class PickedTwice(Works):
    """Two workers take the first task that is new, by a subquery with LIMIT."""

    picks: ClassVar[str] = "SELECT id FROM task WHERE state = 'new' ORDER BY id LIMIT 1"

    @actor(names=PAIR)
    async def work(self, session: AsyncSession) -> None:
        await session.execute(sql(f"UPDATE task SET state = 'done', runs = runs + 1 WHERE id IN ({self.picks})"))
        await session.commit()

    @invariant
    async def no_task_runs_twice(self, session: AsyncSession) -> None:
        assert await session.scalar(select(func.max(Task.runs))) <= 1, "a task ran twice"


@dataclass(frozen=True)
class ChildThenParent(Works):
    """Each adds a child, whose foreign key locks the parent, and then locks the parent to count it there."""

    weaker: ClassVar[bool] = False

    @actor(names=PAIR)
    async def add(self, session: AsyncSession) -> None:
        session.add(Child(parent_id=1))
        await session.flush()
        parent = await session.get_one(Parent, 1, with_for_update={"key_share": self.weaker})
        parent.children += 1
        await session.commit()

    @invariant
    async def nobody_is_refused(self, session: AsyncSession, outcome: Outcome) -> None:
        assert not [name for name, result in outcome.results.items() if result.aborted], "a request was refused"
        assert await session.scalar(select(Parent.children)) == 2


@dataclass(frozen=True)
class UnlockedTooEarly(Works):
    """An advisory lock around look and insert, given back before the commit."""

    @actor(names=PAIR)
    async def tag(self, session: AsyncSession) -> None:
        await session.execute(sql("SELECT pg_advisory_lock(3)"))
        await self.tag_once(session)
        await session.execute(sql("SELECT pg_advisory_unlock(3)"))
        await session.commit()

    async def tag_once(self, session: AsyncSession) -> None:
        """Insert the tag, if it is not there."""
        if not (await session.scalars(select(Tag.id).where(Tag.name == "new"))).all():
            session.add(Tag(name="new"))
            await session.flush()

    @invariant
    async def one_tag(self, session: AsyncSession) -> None:
        found = await session.scalar(select(func.count()).select_from(Tag))
        assert found == 1, f"{found} tags"


class Withdrawals(Bank):
    """Two withdrawals of 60 from an account of 100, which may not be overdrawn."""

    async def take(self, session: AsyncSession) -> int:
        """Take 60, whatever is there."""
        taken = await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance - 60))
        assert isinstance(taken, CursorResult)
        return taken.rowcount

    @invariant
    async def the_account_is_not_overdrawn(self, session: AsyncSession) -> None:
        balance = (await session.get_one(Account, 1)).balance
        assert balance >= 0, f"account 1 holds {balance}"


class CheckedApart(Withdrawals):
    """Looks in one transaction, and takes in the next."""

    @actor(names=PAIR)
    async def withdraw(self, session: AsyncSession) -> None:
        enough = (await session.scalar(select(Account.balance).where(Account.id == 1)) or 0) >= 60
        await session.commit()
        if enough:
            await self.take(session)
        await session.commit()


class LockEndsFirst(Withdrawals):
    """Looks FOR UPDATE, but gives the lock back before it takes."""

    @actor(names=PAIR)
    async def withdraw(self, session: AsyncSession) -> None:
        enough = (await session.scalar(select(Account.balance).where(Account.id == 1).with_for_update()) or 0) >= 60
        await session.commit()
        if enough:
            await self.take(session)
        await session.commit()


class ReadInText(Withdrawals):
    """Looks by SQL that is written as text, and takes in the same transaction."""

    reads: ClassVar[str] = "SELECT balance FROM account WHERE id = 1"

    @actor(names=PAIR)
    async def withdraw(self, session: AsyncSession) -> None:
        if await session.scalar(sql(self.reads)) >= 60:
            await self.take(session)
        await session.commit()


class SumInText(Bank):
    """Two withdrawals of 300 from different accounts, which together hold 400 and may not be overdrawn."""

    locks: ClassVar[str] = ""

    @actor(names=PAIR)
    async def withdraw(self, session: AsyncSession, name: str) -> None:
        if self.locks:
            await session.execute(sql(self.locks))
        if await session.scalar(sql("SELECT sum(balance) FROM account")) >= 300:
            own = 1 if name == "ann" else 2
            await session.execute(update(Account).where(Account.id == own).values(balance=Account.balance - 300))
        await session.commit()

    @invariant
    async def all_together_are_not_overdrawn(self, session: AsyncSession) -> None:
        together = await session.scalar(select(func.sum(Account.balance)))
        assert together >= 0, f"all accounts hold {together}"
