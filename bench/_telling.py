"""Programs in which faults of the dependence relation show that random ones seldom meet, for `reduction_faults.py`.

Each is made for one reason why the order of two steps counts. The seed says nothing but the level.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lab import Scenario, actor

__all__ = ["LateTrigger", "LocksOfThree", "OnOnePage", "ReadOnly"]

LOCKS = MetaData()
ROW = Table("row_", LOCKS, Column("id", Integer, primary_key=True, autoincrement=False), Column("by", Text))


@dataclass(frozen=True)
class LocksOfThree(Scenario):
    """Three deadlocks by three actors over three rows, as a search among simulated locks found them.

    Of one that waits between two others it matters when it begins to, though no row is common to them.
    """

    seed: int = 0
    metadata = LOCKS
    breakpoints = False
    equivalent = None
    allows = (DBAPIError,)

    async def setup(self, session: AsyncSession) -> None:
        """Three rows."""
        await session.execute(insert(ROW).values([{"id": number, "by": ""} for number in range(3)]))

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
class OnOnePage(Scenario):
    """Two serializable transactions read a row by its key and insert another one.

    Who reads before the other inserts watches the page of the index in which the new entry comes; who reads afterwards
    meets nothing of it.
    """

    seed: int = 2
    metadata = LOCKS
    breakpoints = False
    equivalent = None
    allows = (DBAPIError,)

    async def setup(self, session: AsyncSession) -> None:
        """Two rows."""
        await session.execute(insert(ROW).values([{"id": number, "by": ""} for number in (1, 2)]))

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession, name: str) -> None:
        """Read one, insert one."""
        mine = ("ann", "ben").index(name) + 1
        await session.execute(select(ROW.c.by).where(ROW.c.id == mine))
        await session.execute(insert(ROW).values(id=mine + 4, by=name))
        await session.commit()


@dataclass(frozen=True)
class LateTrigger(Scenario):
    """What each transaction may do is counted at its COMMIT, so which of two is refused is the order of these."""

    seed: int = 0
    breakpoints = False
    equivalent = None
    allows = (DBAPIError,)

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
class ReadOnly(Scenario):
    """The read-only anomaly: one reads two rows, one reads the first and writes the second, one writes the first.

    Whether the reader is refused is a matter of who has committed, also of one that wrote nothing that it reads next.
    """

    seed: int = 2
    metadata = LOCKS
    breakpoints = False
    equivalent = None
    allows = (DBAPIError,)

    async def setup(self, session: AsyncSession) -> None:
        """Three rows."""
        await session.execute(insert(ROW).values([{"id": number, "by": ""} for number in range(3)]))

    @actor(names=("ann", "ben", "cat"))
    async def work(self, session: AsyncSession, name: str) -> None:
        """Read, then write."""
        reads, writes = {"ann": ((0, 1), ()), "ben": ((0,), (1,)), "cat": ((), (0,))}[name]
        for number in reads:
            await session.execute(select(ROW.c.by).where(ROW.c.id == number))
        for number in writes:
            await session.execute(update(ROW).where(ROW.c.id == number).values(by=name))
        await session.commit()
