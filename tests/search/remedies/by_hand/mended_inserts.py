"""Remedies written into the code as a developer would write them: keys, ON CONFLICT, queues, deadlocks and loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from helpers.not_yet_mended import ChildThenParent, PickedTwice, UnlockedTooEarly
from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor
from scenarios.constraints import GetThenCreate, NameCheckedByTheApplication, NameTakenError
from scenarios.deadlock import (
    AdvisoryLocksInOppositeOrder,
    CoreUpdatesInOppositeOrder,
    OrmUpdatesInOppositeOrder,
    ShareToExclusive,
    count_up,
)
from scenarios.schema import Counter, LooseMember, Member

ATTEMPTS = 10
REFUSED = ("40001", "40P01")


class StarvedError(Exception):
    """All attempts of a retry loop were spent."""


async def again(work: Callable[[], Awaitable[Any]], *catches: str, pause: float = 0.0) -> Any:
    """What a retry loop returns: all of the work again, after a pause that doubles, if the server refused it."""
    for attempt in range(ATTEMPTS):
        try:
            return await work()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in (*REFUSED, *catches):
                raise
        if pause:
            await asyncio.sleep(pause * 2**attempt)
    raise StarvedError


# ---------------------------------------------------------------------- a row that was not there


class LoginAgain(GetThenCreate):
    """A retry loop that takes a duplicate key for a refusal."""

    catches = ("23505",)

    @actor(names=("tab1", "tab2"))
    async def tab(self, session: AsyncSession) -> int:
        return await again(lambda: self.get_or_create(session), *self.catches)


class LoginAgainAfterRefusals(LoginAgain):
    """A retry loop as it stands: a duplicate key is an error like others."""

    catches = ()


class LoginOnConflict(GetThenCreate):
    """PostgreSQL decides who inserts."""

    async def get_or_create(self, session: AsyncSession) -> int:
        async with session.begin():
            found = await session.scalar(select(Member.id).where(Member.name == "kim"))
            if found is None:
                await session.execute(insert(Member).values(name="kim").on_conflict_do_nothing())
                found = (await session.scalars(select(Member.id).where(Member.name == "kim"))).one()
            return found


class LoginInASavepoint(GetThenCreate):
    """The error takes the savepoint with it, and the row is read again."""

    async def get_or_create(self, session: AsyncSession) -> int:
        async with session.begin():
            found = await session.scalar(select(Member).where(Member.name == "kim"))
            if found is None:
                try:
                    async with session.begin_nested():
                        found = Member(name="kim")
                        session.add(found)
                except IntegrityError:
                    found = (await session.scalars(select(Member).where(Member.name == "kim"))).one()
            return found.id


class NameWithAUniqueKey(NameCheckedByTheApplication):
    """The same code on a table with a unique key."""

    members = Member


class NameUnderAnAdvisoryLock(NameCheckedByTheApplication):
    """Whoever looks for the name holds its lock until the commit."""

    @actor(names=("one", "other"))
    async def visitor(self, session: AsyncSession) -> None:
        async with session.begin():
            await session.execute(sql("SELECT pg_advisory_xact_lock(hashtext('kim'))"))
            if await session.scalar(select(LooseMember.id).where(LooseMember.name == "kim")):
                raise NameTakenError
            session.add(LooseMember(name="kim"))


class NameUnderAnAdvisoryLockInASnapshot(NameUnderAnAdvisoryLock):
    """The same at REPEATABLE READ, where the snapshot is older than the lock."""

    isolation = "REPEATABLE READ"


class NameAtRepeatableRead(NameCheckedByTheApplication):
    """A retry loop, at a level that refuses nothing here."""

    isolation = "REPEATABLE READ"

    @actor(names=("one", "other"))
    async def visitor(self, session: AsyncSession) -> None:
        async def work() -> None:
            async with session.begin():
                if await session.scalar(select(LooseMember.id).where(LooseMember.name == "kim")):
                    raise NameTakenError
                session.add(LooseMember(name="kim"))

        await again(work)


class UnlockedByTheCommit(UnlockedTooEarly):
    """The lock is held until the commit."""

    @actor(names=("ann", "ben"))
    async def tag(self, session: AsyncSession) -> None:
        await session.execute(sql("SELECT pg_advisory_xact_lock(3)"))
        await self.tag_once(session)
        await session.commit()


class PickedOnce(PickedTwice):
    """Each picks a row that nobody has locked."""

    picks = f"{PickedTwice.picks} FOR UPDATE SKIP LOCKED"


# ---------------------------------------------------------------------- deadlocks


class OrmRowsLockedFirst(OrmUpdatesInOppositeOrder):
    """All rows are locked by key before the first of them is changed."""

    async def order(self, session: AsyncSession, *articles: int) -> None:
        async with session.begin():
            await session.execute(
                select(Counter.id).where(Counter.id.in_(articles)).order_by(Counter.id).with_for_update()
            )
            for article in articles:
                counter = await session.get_one(Counter, article, with_for_update=True)
                counter.value += 1
                await session.flush()


class CoreAgain(CoreUpdatesInOppositeOrder):
    """A retry loop whose pauses grow; whoever has spent all attempts says so."""

    allows = (StarvedError,)

    async def order(self, session: AsyncSession, *articles: int) -> None:
        work = super().order
        await again(lambda: work(session, *articles), pause=0.01)


class CoreNeverStarves(CoreAgain):
    """The same, but nobody may spend all attempts."""

    allows = ()


class CoreAtSerializable(CoreUpdatesInOppositeOrder):
    """The highest level, and no loop."""

    isolation = "SERIALIZABLE"


class AdvisoryAgain(AdvisoryLocksInOppositeOrder):
    """A retry loop that begins again at once. Who waits for the lock gets it before the victim can come back."""

    async def order(self, session: AsyncSession, *articles: int) -> None:
        work = super().order
        await again(lambda: work(session, *articles))


class AdvisoryInOrder(AdvisoryLocksInOppositeOrder):
    """The locks in the order of their keys."""

    async def order(self, session: AsyncSession, *articles: int) -> None:
        async with session.begin():
            for article in sorted(articles):
                await session.execute(sql("SELECT pg_advisory_xact_lock(:key)"), {"key": article})
            for article in sorted(articles):
                await count_up(session, article)


class SharedAgain(ShareToExclusive):
    """A retry loop around the upgrade of the lock."""

    allows = (StarvedError,)

    @actor(names=("first", "second", "third"))
    async def visitor(self, session: AsyncSession) -> int:
        async def work() -> int:
            async with session.begin():
                counter = await self.locked(session)
                counter.value += 1
                return counter.value

        return await again(work, pause=0.01)


class ExclusiveFromTheStart(ShareToExclusive):
    """The one row is locked FOR UPDATE first."""

    async def locked(self, session: AsyncSession) -> Counter:
        await session.execute(select(Counter.id).where(Counter.id == 1).with_for_update())
        return await super().locked(session)


class WeakerLockOnTheParent(ChildThenParent):
    """FOR NO KEY UPDATE lets the others refer to the parent."""

    weaker = True
