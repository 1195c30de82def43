"""Scenarios that contend as hard as they can, for `replay.py`.

They do not test an application and have no invariants: what counts is that every kind of lock that PostgreSQL
has takes part, that many actors wait for one another, and that nothing they return depends on anything but the
schedule. A program is drawn from its seed, so the same seed is the same program in every process.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from _worlds import Worlds
from sqlalchemy import ForeignKey, delete, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, serializable

__all__ = ["WORKLOADS", "FivePrograms", "FourPrograms", "RowLocks", "SixPrograms", "ThreeSmall", "TwoSmall"]

REFUSED = ("23503", "23505")
"""What a program may end with besides an abort: a missing parent, a second row of one key."""


class Judged(Scenario):
    """Whose every execution is held against serial runs, as is the default; of six actors there are 1,957."""

    equivalent = serializable()


class RowLockBase(DeclarativeBase):
    """The one table of the row-lock workload."""


class Account(RowLockBase):
    """A row to lock."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


@dataclass(frozen=True)
class RowLocks(Judged):
    """Four actors lock two or three of three rows in orders drawn from the seed, so most schedules deadlock."""

    seed: int = 0
    equivalent = None
    metadata = RowLockBase.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Three accounts."""
        session.add_all(Account(id=number, balance=100) for number in (1, 2, 3))

    @actor(names=("ann", "ben", "cat", "dan"))
    async def locks(self, session: AsyncSession, name: str) -> list[int]:
        """Lock rows one by one, then write them."""
        chance = random.Random(f"{self.seed} {name}")
        async with session.begin():
            numbers = chance.sample((1, 2, 3), chance.randint(2, 3))
            rows = [await session.get_one(Account, number, with_for_update=True) for number in numbers]
            found = [row.balance for row in rows]
            for row in rows:
                row.balance += chance.randint(1, 9)
        return found


class ProgramBase(DeclarativeBase):
    """The tables of the random programs."""


class Owner(ProgramBase):
    """A parent whose removal removes its items."""

    __tablename__ = "owner"
    id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int]


class Item(ProgramBase):
    """A child with a generated key."""

    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owner.id", ondelete="CASCADE"))
    bucket: Mapped[int]
    n: Mapped[int]


class Slot(ProgramBase):
    """A row that only one can insert."""

    __tablename__ = "slot"
    key: Mapped[int] = mapped_column(primary_key=True)
    holder: Mapped[str]
    uses: Mapped[int]


Seen = list[object]
Operation = Callable[[AsyncSession, random.Random, Seen, str], Awaitable[None]]


async def _bulk_update(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    change = update(Item).where(Item.bucket == chance.randint(0, 2)).values(n=Item.n + chance.randint(1, 9))
    seen.append(await _count(session, change))


async def _update_of_all(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    seen.append(await _count(session, update(Item).where(Item.n % 2 == chance.randint(0, 1)).values(n=Item.n + 1)))


async def _update_of_parents(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    total = select(func.coalesce(func.sum(Item.n), 0)).where(Item.owner_id == Owner.id).scalar_subquery()
    seen.append(await _count(session, update(Owner).where(Owner.id >= chance.randint(1, 3)).values(total=total)))


async def _loaded_and_written(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    owner = await session.get(Owner, chance.randint(1, 3), populate_existing=True)
    if owner is not None:
        seen.append(owner.total)
        owner.total += chance.randint(1, 9)
        await session.flush()


async def _child(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    values = {"owner_id": chance.randint(1, 3), "bucket": chance.randint(0, 2), "n": chance.randint(0, 9)}
    seen.append(await session.scalar(insert(Item).values(values).returning(Item.id)))


async def _cascade(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    seen.append(await _count(session, delete(Owner).where(Owner.id == chance.randint(2, 3))))


async def _removal(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    seen.append(await _count(session, delete(Item).where(Item.bucket == chance.randint(0, 2), Item.n > 5)))


async def _unique(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    seen.append(await _count(session, insert(Slot).values(key=chance.randint(2, 4), holder=name, uses=1)))


async def _upsert(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    change = upsert(Slot).values(key=chance.randint(1, 4), holder=name, uses=1)
    on_conflict = change.on_conflict_do_update(index_elements=[Slot.key], set_={"uses": Slot.uses + 1, "holder": name})
    seen.append((await session.execute(on_conflict.returning(Slot.key, Slot.uses))).all())


async def _insert_or_nothing(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    change = upsert(Slot).values(key=chance.randint(1, 4), holder=name, uses=1).on_conflict_do_nothing()
    seen.append((await session.execute(change.returning(Slot.key))).all())


async def _advisory(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    lock = chance.choice((func.pg_advisory_xact_lock, func.pg_advisory_xact_lock_shared))
    await session.execute(select(lock(chance.randint(1, 2))))


async def _table_lock(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    table = chance.choice(("item", "slot"))
    mode = chance.choice(("SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"))
    await session.execute(text(f"LOCK TABLE {table} IN {mode} MODE"))


async def _queue(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    taken = select(Item.id).limit(chance.randint(1, 2)).with_for_update(skip_locked=True)
    seen.append((await session.scalars(taken)).all())


async def _locking_scan(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    scan = select(Item.id, Item.n).where(Item.bucket >= chance.randint(0, 2))
    scan = scan.with_for_update(read=chance.random() < 0.5)
    seen.append((await session.execute(scan)).all())


async def _scan(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    both = select(literal("item"), Item.id, Item.n).union_all(select(literal("slot"), Slot.key, Slot.uses))
    seen.append((await session.execute(both)).all())


async def _savepoint(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    """Two operations under a savepoint that is sometimes rolled back; what is refused inside is caught."""
    undo = chance.random() < 0.4
    try:
        async with session.begin_nested() as savepoint:
            for operation in chance.choices(FLAT, k=2):
                await operation(session, chance, seen, name)
            if undo:
                await savepoint.rollback()
    except DBAPIError as error:
        seen.append(getattr(error.orig, "sqlstate", None))


async def _count(session: AsyncSession, change: Any) -> int:
    result: Any = await session.execute(change, execution_options={"synchronize_session": False})
    return int(result.rowcount)


FLAT: tuple[Operation, ...] = (
    _bulk_update,
    _update_of_all,
    _update_of_parents,
    _loaded_and_written,
    _child,
    _cascade,
    _removal,
    _unique,
    _upsert,
    _insert_or_nothing,
    _advisory,
    _table_lock,
    _queue,
    _locking_scan,
    _scan,
)
SMALL: tuple[Operation, ...] = (*FLAT, _loaded_and_written, _loaded_and_written, _cascade, _child, _unique)
"""Operations by key more often than by predicate: where everything conflicts, nothing can be left out."""
OPERATIONS: tuple[Operation, ...] = (*FLAT, _savepoint, _savepoint)


@dataclass(frozen=True)
class _Programs(Judged):
    """Programs drawn from a seed: one or two transactions of two to four operations for each actor."""

    seed: int = 0
    equivalent = None
    metadata = ProgramBase.metadata
    allows = REFUSED

    async def setup(self, session: AsyncSession) -> None:
        """Three owners, nine items, one slot taken."""
        session.add_all(Owner(id=number, total=0) for number in (1, 2, 3))
        await session.flush()
        session.add_all(Item(owner_id=1 + number % 3, bucket=number % 2, n=number) for number in range(9))
        session.add(Slot(key=1, holder="nobody", uses=0))

    async def program(self, session: AsyncSession, name: str) -> Seen:
        """What the actor of this name does."""
        chance = random.Random(f"{self.seed} {name}")
        seen: Seen = []
        for _ in range(chance.randint(1, 2)):
            async with session.begin():
                for operation in chance.choices(OPERATIONS, k=chance.randint(2, 4)):
                    await operation(session, chance, seen, name)
        return seen


@dataclass(frozen=True)
class FourPrograms(_Programs):
    """Random programs of four actors."""

    @actor(names=("ann", "ben", "cat", "dan"))
    async def run(self, session: AsyncSession, name: str) -> Seen:
        """See `program`."""
        return await self.program(session, name)


@dataclass(frozen=True)
class FivePrograms(_Programs):
    """Random programs of five actors."""

    @actor(names=("ann", "ben", "cat", "dan", "eve"))
    async def run(self, session: AsyncSession, name: str) -> Seen:
        """See `program`."""
        return await self.program(session, name)


@dataclass(frozen=True)
class SixPrograms(_Programs):
    """Random programs of six actors."""

    @actor(names=("ann", "ben", "cat", "dan", "eve", "fay"))
    async def run(self, session: AsyncSession, name: str) -> Seen:
        """See `program`."""
        return await self.program(session, name)


@dataclass(frozen=True)
class TwoSmall(_Programs):
    """One transaction of one to three operations for each of two actors: few enough orders to run them all."""

    most: ClassVar[int] = 3

    @actor(names=("ann", "ben"))
    async def run(self, session: AsyncSession, name: str) -> Seen:
        """A single transaction."""
        return await self.transaction(session, name)

    async def transaction(self, session: AsyncSession, name: str) -> Seen:
        """What the actor of this name does."""
        chance = random.Random(f"small {self.seed} {name}")
        seen: Seen = []
        async with session.begin():
            for operation in chance.choices(SMALL, k=chance.randint(1, self.most)):
                await operation(session, chance, seen, name)
        return seen


@dataclass(frozen=True)
class ThreeSmall(TwoSmall):
    """One transaction of one or two operations for each of three actors."""

    most: ClassVar[int] = 2

    @actor(names=("ann", "ben", "cat"))
    async def run(self, session: AsyncSession, name: str) -> Seen:
        """A single transaction."""
        return await self.transaction(session, name)


WORKLOADS: dict[str, tuple[Callable[[int], Scenario], ...]] = {
    "row locks": (RowLocks,),
    "random programs": (FourPrograms, FivePrograms, SixPrograms),
    "clocks, chance, leases, ids": (Worlds,),
}
"""Name -> how to make a scenario from a seed; several take turns."""
