"""Programs in which faults of the dependence relation show that random ones seldom meet, for `reduction_faults.py`.

Each is made for one reason why the order of two steps counts. The seed says nothing but the level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, Text, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lab import Scenario, actor

__all__ = ["Crossed", "LateTrigger", "LocksOfThree", "OnOnePage", "ReadOnly"]

LOCKS = MetaData()
ROW = Table("row_", LOCKS, Column("id", Integer, primary_key=True, autoincrement=False), Column("by", Text))
NAMED = MetaData()
OWNER = Table(
    *("owner", NAMED, Column("id", Integer, primary_key=True, autoincrement=False)),
    *(Column("name", Text, unique=True), Column("n", Integer)),
)
THING = Table("thing", NAMED, Column("id", Integer, primary_key=True), Column("owner_id", ForeignKey("owner.id")))
BARE = Table(
    *("owner", MetaData(), Column("id", Integer, primary_key=True, autoincrement=False)),
    *(Column("name", Text), Column("n", Integer)),
)
"""The same by somebody who knows nothing of its second key."""


@dataclass(frozen=True)
class _Told(Scenario):
    """What these have in common: rows with numbers, no breakpoints, and every error is allowed."""

    seed: int = 0
    metadata = LOCKS
    breakpoints = False
    equivalent = None
    allows = (DBAPIError,)

    @property
    def numbers(self) -> Iterable[int]:
        """Of the rows."""
        return range(3)

    async def setup(self, session: AsyncSession) -> None:
        """The rows."""
        await session.execute(insert(ROW).values([{"id": number, "by": ""} for number in self.numbers]))


@dataclass(frozen=True)
class LocksOfThree(_Told):
    """Three deadlocks by three actors over three rows, as a search among simulated locks found them.

    Of one that waits between two others it matters when it begins to, though no row is common to them.
    """

    @actor(names=("ann", "ben", "cat"))
    async def work(self, session: AsyncSession, name: str) -> None:
        """Change some rows, and lock one for share."""
        shared, changed = {"ann": ((), (0, 1, 2)), "ben": ((2,), (1,)), "cat": ((1,), (0,))}[name]
        for number in shared:
            await session.execute(select(ROW.c.by).where(ROW.c.id == number).with_for_update(read=True))
        for number in changed:
            await session.execute(update(ROW).where(ROW.c.id == number).values(by=name))
        await session.commit()


@dataclass(frozen=True)
class OnOnePage(_Told):
    """Two serializable transactions read a row by its key and insert another one; or read three and change a fourth.

    Who reads before the other inserts watches the page of the index in which the new entry comes, and of three rows
    the whole page; who reads afterwards meets nothing of it.
    """

    seed: int = 2

    @property
    def numbers(self) -> Iterable[int]:
        """Five, or two."""
        return range(1, 6) if self.seed // 3 else (1, 2)

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession, name: str) -> None:
        """Read one, insert one."""
        mine = ("ann", "ben").index(name) + 1
        if self.seed // 3:
            await session.execute(select(ROW.c.by).where(ROW.c.id.in_([1, 2, 3])))
            await session.execute(update(ROW).where(ROW.c.id == mine + 3).values(by=name))
            await session.commit()
            return
        await session.execute(select(ROW.c.by).where(ROW.c.id == mine))
        await session.execute(insert(ROW).values(id=mine + 4, by=name))
        await session.commit()


@dataclass(frozen=True)
class LateTrigger(_Told):
    """What each transaction may do is counted at its COMMIT, so which of two is refused is the order of these."""

    async def setup(self, session: AsyncSession) -> None:
        """No rows."""

    async def schema(self, connection: AsyncConnection) -> None:
        """A table with a constraint trigger that is deferred."""
        for each in (
            "CREATE TABLE bounded (id int PRIMARY KEY)",
            """CREATE FUNCTION bound() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN IF (SELECT count(*) FROM bounded) > 1 THEN RAISE 'too many'; END IF; RETURN NULL; END$$""",
            """CREATE CONSTRAINT TRIGGER bound AFTER INSERT ON bounded DEFERRABLE INITIALLY DEFERRED
               FOR EACH ROW EXECUTE FUNCTION bound()""",
        ):
            await connection.execute(text(each))

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession, name: str) -> None:
        """Insert a row."""
        await session.execute(text(f"INSERT INTO bounded VALUES ({ord(name[0])})"))
        await session.commit()


@dataclass(frozen=True)
class ReadOnly(_Told):
    """The read-only anomaly: one reads two rows, one reads the first and writes the second, one writes the first.

    Whether the reader is refused is a matter of who has committed, also of one that wrote nothing that it reads next.
    """

    seed: int = 2

    @actor(names=("ann", "ben", "cat"))
    async def work(self, session: AsyncSession, name: str) -> None:
        """Read, then write."""
        reads, writes = {"ann": ((0, 1), ()), "ben": ((0,), (1,)), "cat": ((), (0,))}[name]
        for number in reads:
            await session.execute(select(ROW.c.by).where(ROW.c.id == number))
        for number in writes:
            await session.execute(update(ROW).where(ROW.c.id == number).values(by=name))
        await session.commit()


def _change(number: int) -> Any:
    return update(OWNER).where(OWNER.c.id == number).values(n=OWNER.c.n + 1)


def _wanted(number: int) -> Any:
    return select(OWNER.c.id).where(OWNER.c.id == number).with_for_update()


def _named(number: int, name: int) -> Any:
    return insert(OWNER).values(id=number, name=f"name {name}", n=0)


CROSSED: tuple[Callable[[int, int, int], tuple[Any, Any]], ...] = (
    lambda own, mine, theirs: (_change(mine), _change(theirs)),
    lambda own, mine, theirs: (_named(own, mine + 4), _named(own + 1, theirs + 4)),
    lambda own, mine, theirs: (_change(mine), _named(own, theirs)),
    lambda own, mine, theirs: (insert(THING).values(id=own, owner_id=mine), _wanted(theirs)),
    lambda own, mine, theirs: (
        insert(BARE).values(id=own, name=f"new {mine}", n=0),
        insert(BARE).values(id=own + 1, name=f"new {theirs}", n=0),
    ),
    lambda own, mine, theirs: (
        update(OWNER).where(OWNER.c.name == f"name {mine}").values(name=f"new {mine}"),
        select(OWNER.c.id).where(OWNER.c.name == f"new {theirs}"),
    ),
)
"""From numbers for rows of one's own, one's first row and that of the other to two statements."""


@dataclass(frozen=True)
class Crossed(_Told):
    """Two statements each, which cross those of the other. A third of the seed says how.

    Deadlocks over rows, a key, the key of a changed row, parents, a key that only the catalog knows; and a row that is
    looked for by the key that it gets.
    """

    metadata = NAMED

    async def setup(self, session: AsyncSession) -> None:
        """Two owners."""
        for number in (1, 2):
            await session.execute(_named(number, number))

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession, name: str) -> list[object]:
        """Both statements, and COMMIT."""
        seen: list[object] = []
        own, mine, theirs = {"ann": (10, 1, 2), "ben": (20, 2, 1)}[name]
        for each in CROSSED[self.seed // 3](own, mine, theirs):
            result: Any = await session.execute(each)
            seen.append([tuple(row) for row in result] if result.returns_rows else result.rowcount)
        await session.commit()
        return seen
