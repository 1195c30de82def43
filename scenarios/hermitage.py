"""The fourteen textbook sequences: each anomaly as Hermitage, the public collection by Martin Kleppmann, tests for it.

A sequence is an order of steps: a statement, a COMMIT or a ROLLBACK each. `schedule` gives it by the names of those who
take the steps; a statement that waits for a lock is one step when it begins to wait and another one when it goes on. It
is the order for all three levels, to be followed by `lab.schedulers.guided.Wished`: where a transaction is refused
instead, its ROLLBACK takes the place of its next step, and names that are left over then are skipped.

All transactions begin first, which needs no step: a BEGIN takes no snapshot in PostgreSQL, the first statement does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, probe
from scenarios.schema import Item, Textbook

__all__ = [
    "G0",
    "G2",
    "OTV",
    "P4",
    "PMP",
    "SEQUENCES",
    "G1a",
    "G1b",
    "G1c",
    "G2Item",
    "G2TwoEdges",
    "GSingle",
    "GSinglePredicate",
    "GSingleWritePredicate",
    "PMPWrite",
    "TextbookSequence",
]

Rows = list[list[int]]
"""What one statement read: `[id, value]` for each row, by id."""

NOT_ABOVE_READ_COMMITTED = ("READ COMMITTED",)
NOT_AT_SERIALIZABLE = ("READ COMMITTED", "REPEATABLE READ")


async def read(session: AsyncSession, *where: ColumnElement[bool]) -> Rows:
    """The rows that meet the conditions; without any, all rows."""
    found = await session.execute(select(Item.id, Item.value).where(*where).order_by(Item.id))
    return [[number, value] for number, value in found]


async def write(session: AsyncSession, value: int | ColumnElement[int], *where: ColumnElement[bool]) -> None:
    """Write a value to the rows that meet the conditions; without any, to all rows."""
    await session.execute(update(Item).where(*where).values(value=value))


@dataclass(frozen=True)
class TextbookSequence(Scenario):
    """Rows (1, 10) and (2, 20); no actors yet.

    `anomaly` is the name that Adya, Berenson or Bailis gave to what the sequence would show, `allowed_at` the levels at
    which PostgreSQL lets it happen, `schedule` the order of the steps.
    """

    metadata = Textbook.metadata
    anomaly: ClassVar[str]
    allowed_at: ClassVar[tuple[str, ...]] = ()
    schedule: ClassVar[str]

    async def setup(self, session: AsyncSession) -> None:
        """Rows (1, 10) and (2, 20)."""
        session.add_all([Item(id=1, value=10), Item(id=2, value=20)])


@probe
@dataclass(frozen=True)
class G0(TextbookSequence):
    """G0, dirty write: two transactions write both rows, and one overwrites what the other has not committed."""

    anomaly = "G0"
    schedule = "t1 t2 t1 t1 t2 t1 t1 t2 t2 t2 t2"

    @actor
    async def t1(self, session: AsyncSession) -> list[Rows]:
        """Writes 11 and 21, commits, and looks what is there."""
        async with session.begin():
            await write(session, 11, Item.id == 1)
            await write(session, 21, Item.id == 2)
        async with session.begin():
            return [await read(session)]

    @actor
    async def t2(self, session: AsyncSession) -> list[Rows]:
        """Writes 12 and 22, commits, and looks what is there."""
        async with session.begin():
            await write(session, 12, Item.id == 1)
            await write(session, 22, Item.id == 2)
        async with session.begin():
            return [await read(session)]


@probe
@dataclass(frozen=True)
class G1a(TextbookSequence):
    """G1a, aborted read: somebody sees a value whose writer then rolls back."""

    anomaly = "G1a"
    schedule = "t1 t2 t1 t2 t2"

    @actor
    async def t1(self, session: AsyncSession) -> None:
        """Writes row 1 and rolls back."""
        await write(session, 101, Item.id == 1)
        await session.rollback()

    @actor
    async def t2(self, session: AsyncSession) -> list[Rows]:
        """Reads all rows, twice."""
        async with session.begin():
            return [await read(session), await read(session)]


@probe
@dataclass(frozen=True)
class G1b(TextbookSequence):
    """G1b, intermediate read: somebody sees a value that its writer replaces before it commits."""

    anomaly = "G1b"
    schedule = "t1 t2 t1 t1 t2 t2"

    @actor
    async def t1(self, session: AsyncSession) -> None:
        """Writes row 1, then writes it again."""
        async with session.begin():
            await write(session, 101, Item.id == 1)
            await write(session, 11, Item.id == 1)

    @actor
    async def t2(self, session: AsyncSession) -> list[Rows]:
        """Reads all rows, twice."""
        async with session.begin():
            return [await read(session), await read(session)]


@probe
@dataclass(frozen=True)
class G1c(TextbookSequence):
    """G1c, circular information flow: two transactions each see what the other one wrote."""

    anomaly = "G1c"
    schedule = "t1 t2 t1 t2 t1 t2"

    @actor
    async def t1(self, session: AsyncSession) -> list[Rows]:
        """Writes row 1 and reads row 2."""
        async with session.begin():
            await write(session, 11, Item.id == 1)
            return [await read(session, Item.id == 2)]

    @actor
    async def t2(self, session: AsyncSession) -> list[Rows]:
        """Writes row 2 and reads row 1."""
        async with session.begin():
            await write(session, 22, Item.id == 2)
            return [await read(session, Item.id == 1)]


@probe
@dataclass(frozen=True)
class OTV(TextbookSequence):
    """OTV, observed transaction vanishes: what a reader has seen of a transaction is gone when it looks again."""

    anomaly = "OTV"
    schedule = "t1 t1 t2 t1 t2 t3 t2 t3 t2 t3 t3 t3"

    @actor
    async def t1(self, session: AsyncSession) -> None:
        """Writes 11 and 19."""
        async with session.begin():
            await write(session, 11, Item.id == 1)
            await write(session, 19, Item.id == 2)

    @actor
    async def t2(self, session: AsyncSession) -> None:
        """Writes 12 and 18 over it."""
        async with session.begin():
            await write(session, 12, Item.id == 1)
            await write(session, 18, Item.id == 2)

    @actor
    async def t3(self, session: AsyncSession) -> list[Rows]:
        """Reads row 1, row 2 twice, and row 1 again."""
        async with session.begin():
            return [await read(session, Item.id == row) for row in (1, 2, 2, 1)]


@probe
@dataclass(frozen=True)
class PMP(TextbookSequence):
    """PMP, predicate-many-preceders: a row appears that meets a predicate which no row met before."""

    anomaly = "PMP"
    allowed_at = NOT_ABOVE_READ_COMMITTED
    schedule = "t1 t2 t2 t1 t1"

    @actor
    async def t1(self, session: AsyncSession) -> list[Rows]:
        """Asks for the value 30, then for the multiples of 3."""
        async with session.begin():
            return [await read(session, Item.value == 30), await read(session, Item.value % 3 == 0)]

    @actor
    async def t2(self, session: AsyncSession) -> None:
        """Inserts a row with the value 30."""
        async with session.begin():
            await session.execute(insert(Item).values(id=3, value=30))


@probe
@dataclass(frozen=True)
class PMPWrite(TextbookSequence):
    """PMP by a write: what a DELETE found before it waited is not what is there afterwards."""

    anomaly = "PMP"
    allowed_at = NOT_ABOVE_READ_COMMITTED
    schedule = "t1 t2 t1 t2 t2 t2"

    @actor
    async def t1(self, session: AsyncSession) -> None:
        """Adds 10 to all values, so that 20 becomes 30 and 10 becomes 20."""
        async with session.begin():
            await write(session, Item.value + 10)

    @actor
    async def t2(self, session: AsyncSession) -> list[Rows]:
        """Deletes the rows with the value 20, and looks whether there are any."""
        async with session.begin():
            await session.execute(delete(Item).where(Item.value == 20))
            return [await read(session, Item.value == 20)]


@probe
@dataclass(frozen=True)
class P4(TextbookSequence):
    """P4, lost update: two transactions read the same row, and the second write ignores the first."""

    anomaly = "P4"
    allowed_at = NOT_ABOVE_READ_COMMITTED
    schedule = "t1 t2 t1 t2 t1 t2 t2"

    @actor(names=("t1", "t2"))
    async def transaction(self, session: AsyncSession) -> list[Rows]:
        """Reads row 1 and writes one more."""
        async with session.begin():
            seen = await read(session, Item.id == 1)
            await write(session, 11, Item.id == 1)
        return [seen]


@probe
@dataclass(frozen=True)
class GSingle(TextbookSequence):
    """G-single, read skew: a reader sees one row before a transaction and the other one after it."""

    anomaly = "G-single"
    allowed_at = NOT_ABOVE_READ_COMMITTED
    schedule = "t1 t2 t2 t2 t2 t2 t1 t1"

    @actor
    async def t1(self, session: AsyncSession) -> list[Rows]:
        """Reads row 1, then row 2."""
        async with session.begin():
            return [await read(session, Item.id == 1), await read(session, Item.id == 2)]

    @actor
    async def t2(self, session: AsyncSession) -> list[Rows]:
        """Reads both rows and moves 2 from one to the other."""
        async with session.begin():
            seen = [await read(session, Item.id == 1), await read(session, Item.id == 2)]
            await write(session, 12, Item.id == 1)
            await write(session, 18, Item.id == 2)
        return seen


@probe
@dataclass(frozen=True)
class GSinglePredicate(TextbookSequence):
    """G-single by a predicate: between two questions, another transaction changes what they ask for."""

    anomaly = "G-single"
    allowed_at = NOT_ABOVE_READ_COMMITTED
    schedule = "t1 t2 t2 t1 t1"

    @actor
    async def t1(self, session: AsyncSession) -> list[Rows]:
        """Asks for the multiples of 5, then for those of 3."""
        async with session.begin():
            return [await read(session, Item.value % 5 == 0), await read(session, Item.value % 3 == 0)]

    @actor
    async def t2(self, session: AsyncSession) -> None:
        """Makes every 10 a 12."""
        async with session.begin():
            await write(session, 12, Item.value == 10)


@probe
@dataclass(frozen=True)
class GSingleWritePredicate(TextbookSequence):
    """G-single by the predicate of a write: a DELETE looks at another moment than the read before it."""

    anomaly = "G-single"
    allowed_at = NOT_ABOVE_READ_COMMITTED
    schedule = "t1 t2 t2 t2 t2 t1 t1"

    @actor
    async def t1(self, session: AsyncSession) -> list[Rows]:
        """Reads row 1 and deletes the rows with the value 20."""
        async with session.begin():
            seen = await read(session, Item.id == 1)
            await session.execute(delete(Item).where(Item.value == 20))
        return [seen]

    @actor
    async def t2(self, session: AsyncSession) -> list[Rows]:
        """Reads all rows and moves 2 from one to the other."""
        async with session.begin():
            seen = await read(session)
            await write(session, 12, Item.id == 1)
            await write(session, 18, Item.id == 2)
        return [seen]


@probe
@dataclass(frozen=True)
class G2Item(TextbookSequence):
    """G2-item, write skew: two transactions read both rows and write one each."""

    anomaly = "G2-item"
    allowed_at = NOT_AT_SERIALIZABLE
    schedule = "t1 t1 t2 t2 t1 t2 t1 t2"

    @actor
    async def t1(self, session: AsyncSession) -> list[Rows]:
        """Reads both rows and writes row 1."""
        async with session.begin():
            seen = [await read(session, Item.id == 1), await read(session, Item.id == 2)]
            await write(session, 11, Item.id == 1)
        return seen

    @actor
    async def t2(self, session: AsyncSession) -> list[Rows]:
        """Reads both rows and writes row 2."""
        async with session.begin():
            seen = [await read(session, Item.id == 1), await read(session, Item.id == 2)]
            await write(session, 21, Item.id == 2)
        return seen


@probe
@dataclass(frozen=True)
class G2(TextbookSequence):
    """G2, write skew by a predicate: two transactions find nothing, and each inserts what the other looked for."""

    anomaly = "G2"
    allowed_at = NOT_AT_SERIALIZABLE
    schedule = "t1 t2 t1 t2 t1 t2"

    @actor
    async def t1(self, session: AsyncSession) -> list[Rows]:
        """Asks for the multiples of 3 and inserts 30."""
        async with session.begin():
            seen = await read(session, Item.value % 3 == 0)
            await session.execute(insert(Item).values(id=3, value=30))
        return [seen]

    @actor
    async def t2(self, session: AsyncSession) -> list[Rows]:
        """Asks for the multiples of 3 and inserts 42."""
        async with session.begin():
            seen = await read(session, Item.value % 3 == 0)
            await session.execute(insert(Item).values(id=4, value=42))
        return [seen]


@probe
@dataclass(frozen=True)
class G2TwoEdges(TextbookSequence):
    """G2 of three: a reader sees a second transaction that the first one has not seen, and misses the first."""

    anomaly = "G2"
    allowed_at = NOT_AT_SERIALIZABLE
    schedule = "t1 t2 t2 t3 t3 t1 t1"

    @actor
    async def t1(self, session: AsyncSession) -> list[Rows]:
        """Reads all rows before the others begin, and writes row 1 after they ended."""
        async with session.begin():
            seen = await read(session)
            await write(session, 0, Item.id == 1)
        return [seen]

    @actor
    async def t2(self, session: AsyncSession) -> None:
        """Adds 5 to row 2."""
        async with session.begin():
            await write(session, Item.value + 5, Item.id == 2)

    @actor
    async def t3(self, session: AsyncSession) -> list[Rows]:
        """Reads all rows."""
        async with session.begin():
            return [await read(session)]


SEQUENCES: tuple[type[TextbookSequence], ...] = (
    G0,
    G1a,
    G1b,
    G1c,
    OTV,
    PMP,
    PMPWrite,
    P4,
    GSingle,
    GSinglePredicate,
    GSingleWritePredicate,
    G2Item,
    G2,
    G2TwoEdges,
)
"""All fourteen, in the order of the collection."""
