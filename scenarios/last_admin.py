"""A team keeps at least one admin, also when two requests each remove one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug
from scenarios.retry import retried
from scenarios.schema import House, Member

__all__ = [
    "CountsAdminsWithoutLock",
    "LastAdmin",
    "LastAdminAtSerializable",
    "LastAdminError",
    "LocksOnlyTheAdminToRemove",
]


class LastAdminError(Exception):
    """A team cannot be without an admin."""


@claim(
    title="There is always an admin",
    acid="Consistency",
    critical="nobody can give anybody access any more",
    test="tests/database/test_database_invariants.py::test_last_admin_stays",
)
@dataclass(frozen=True)
class LastAdmin(Scenario):
    """Two admins resign at the same time; the second is refused.

    Each locks the rows of all admins, in the order of their ids, before counting them.
    """

    metadata = House.metadata
    allows = (LastAdminError,)

    async def setup(self, session: AsyncSession) -> None:
        """Two admins."""
        session.add_all([Member(id=1, name="ann", admin=True), Member(id=2, name="ben", admin=True)])

    async def admins(self, session: AsyncSession, name: str) -> int:
        """How many admins there are."""
        return len((await session.scalars(all_admins().with_for_update())).all())

    async def resign(self, session: AsyncSession, name: str) -> None:
        """Stop being an admin, in the transaction under way; raise `LastAdminError` if there is no other."""
        if await self.admins(session, name) < 2:
            raise LastAdminError
        await session.execute(update(Member).where(Member.name == name).values(admin=False))

    @actor(names=("ann", "ben"))
    async def admin(self, session: AsyncSession, name: str) -> None:
        """Resigns."""
        async with session.begin():
            await self.resign(session, name)

    @invariant
    async def there_is_an_admin(self, session: AsyncSession) -> None:
        """At least one member is an admin."""
        left = await session.scalar(select(func.count(Member.id)).where(Member.admin)) or 0
        assert left >= 1, "nobody is an admin"


def all_admins() -> Select[Any]:
    """Finds the admins, in the order of their ids."""
    return select(Member).where(Member.admin).order_by(Member.id)


@dataclass(frozen=True)
class LastAdminAtSerializable(LastAdmin):
    """Two admins resign at SERIALIZABLE, without locks; one is refused by the server and refused again, for good.

    The server sees that no serial order explains both, and the retry finds one admin.
    """

    isolation = "SERIALIZABLE"

    async def admins(self, session: AsyncSession, name: str) -> int:
        """How many admins there are, by a plain SELECT."""
        return len((await session.scalars(all_admins())).all())

    @actor(names=("ann", "ben"))
    async def admin(self, session: AsyncSession, name: str) -> None:
        """Resigns, and tries again after a serialization failure."""
        await retried(session, lambda: self.resign(session, name))

    @invariant
    async def one_resigns_and_one_is_refused(self, outcome: Outcome) -> None:
        """Nobody is left with an error of the database."""
        if outcome.in_doubt:
            return  # the other one may have had nobody to refuse it, or nobody to leave behind
        refused = [isinstance(result.error, LastAdminError) for result in outcome.results.values()]
        assert sorted(refused) == [False, True], "not exactly one was refused as the last admin"
        assert len(outcome.committed) == 1, f"{len(outcome.committed)} resigned"


@planted_bug(
    of=LastAdmin,
    token="lab1:scenarios.last_admin:CountsAdminsWithoutLock::-:ann.ben3.ann2:27s7y:xjcosx",
    cause="both requests count two admins and remove different rows: a write skew",
    fix="lock the rows that are counted, or run at SERIALIZABLE and retry",
)
@dataclass(frozen=True)
class CountsAdminsWithoutLock(LastAdmin):
    """Counts the admins by a plain SELECT."""

    async def admins(self, session: AsyncSession, name: str) -> int:
        """How many admins there are, by a plain SELECT."""
        return len((await session.scalars(all_admins())).all())


@planted_bug(
    of=LastAdmin,
    token="lab1:scenarios.last_admin:LocksOnlyTheAdminToRemove::-:ann3.ben4.ann:sl7k3:zadmvp",
    cause="each request locks the row that it changes, but the other rows of the count can still change",
    fix="lock all the rows that are counted",
)
@dataclass(frozen=True)
class LocksOnlyTheAdminToRemove(LastAdmin):
    """Locks its own row before it counts."""

    async def admins(self, session: AsyncSession, name: str) -> int:
        """How many admins there are, under a lock on one of them."""
        await session.execute(select(Member.id).where(Member.name == name).with_for_update())
        return len((await session.scalars(all_admins())).all())
