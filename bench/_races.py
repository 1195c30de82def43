"""The races that `peers.py` gives to every tool: coroutines of SQLAlchemy's, that know no tool.

A race is wrong if some order of its statements breaks it. What breaks it is said of the rows in the end and of who was
refused in a deadlock; a serialization failure is no fault of an application, so actors take it and leave.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["RACES", "Base", "Race"]

Actor = Callable[[AsyncSession], Awaitable[None]]
Rows = Mapping[int, int]
"""Id -> value."""


class Base(DeclarativeBase):
    """The one table."""


class Item(Base):
    """A number."""

    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int]
    version: Mapped[int] = mapped_column(default=0, server_default=text("0"))


@dataclass(frozen=True)
class Race:
    """Some actors at a level, the values of the items in the beginning, and what must hold of them in the end."""

    actors: Sequence[Actor]
    values: Sequence[int]
    holds: Callable[[Rows], bool]
    is_right: bool = False
    level: str = "READ COMMITTED"
    steps: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The same as SQL, for isolationtester: session -> its statements. Nothing where values are computed outside."""


def forgiving(actor: Actor) -> Actor:
    """The actor, which takes a serialization failure for an answer."""

    async def forgives(session: AsyncSession) -> None:
        try:
            await actor(session)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != "40001":
                raise
            await session.rollback()

    return forgives


async def add_one(session: AsyncSession) -> None:
    item = await session.get_one(Item, 1)
    item.value += 1
    await session.commit()


async def add_one_by_text(session: AsyncSession) -> None:
    value = await session.scalar(text("SELECT value FROM item WHERE id = 1"))
    await session.execute(text(f"UPDATE item SET value = {value + 1} WHERE id = 1"))
    await session.commit()


async def add_one_locked(session: AsyncSession) -> None:
    value = await session.scalar(select(Item.value).where(Item.id == 1).with_for_update())
    await session.execute(update(Item).where(Item.id == 1).values(value=(value or 0) + 1))
    await session.commit()


async def add_one_checked(session: AsyncSession) -> None:
    """Optimistic: who finds another version tries again."""
    while True:
        item = (await session.execute(select(Item.value, Item.version).where(Item.id == 1))).one()
        done = await session.execute(
            update(Item)
            .where(Item.id == 1, Item.version == item.version)
            .values(value=item.value + 1, version=item.version + 1)
        )
        await session.commit()
        if done.rowcount:
            return


def updates(*ids: int) -> Actor:
    async def in_order(session: AsyncSession) -> None:
        for each in ids:
            await session.execute(update(Item).where(Item.id == each).values(value=Item.value + 1))
        await session.commit()

    return in_order


def advisory(*keys: int) -> Actor:
    async def in_order(session: AsyncSession) -> None:
        for each in keys:
            await session.execute(select(func.pg_advisory_xact_lock(each)))
        await session.commit()

    return in_order


def padded(*ids: int) -> Actor:
    async def in_order(session: AsyncSession) -> None:
        for each in ids:
            await session.execute(select(Item.value).where(Item.id == 0))
            await session.execute(update(Item).where(Item.id == each).values(value=Item.value + 1))
        await session.execute(select(Item.value).where(Item.id == 0))
        await session.commit()

    return in_order


def goes_off_duty(who: int) -> Actor:
    async def goes(session: AsyncSession) -> None:
        on_duty = await session.scalar(select(func.sum(Item.value)).where(Item.id < 2)) or 0
        if on_duty > 1:
            await session.execute(update(Item).where(Item.id == who).values(value=0))
        await session.commit()

    return forgiving(goes)


def counts(number: int) -> Callable[[Rows], bool]:
    return lambda rows: rows[1] == number


def skew(level: str, *, is_right: bool) -> Race:
    return Race((goes_off_duty(0), goes_off_duty(1)), (1, 1), lambda rows: rows[0] + rows[1] > 0, is_right, level)


def of_two(first: Sequence[str], second: Sequence[str]) -> dict[str, Sequence[str]]:
    return {"s1": (*first, "COMMIT"), "s2": (*second, "COMMIT")}


def up(each: int) -> str:
    return f"UPDATE item SET value = value + 1 WHERE id = {each}"


RACES: dict[str, Race] = {
    "lost update": Race((add_one, add_one), (0, 0), counts(2)),
    "lost update, text SQL": Race((add_one_by_text, add_one_by_text), (0, 0), counts(2)),
    "deadlock of two rows": Race(
        (updates(1, 2), updates(2, 1)), (0, 0, 0), lambda rows: True, steps=of_two((up(1), up(2)), (up(2), up(1)))
    ),
    "deadlock of advisory locks": Race(
        (advisory(1, 2), advisory(2, 1)),
        (0,),
        lambda rows: True,
        steps=of_two(
            ("SELECT pg_advisory_xact_lock(1)", "SELECT pg_advisory_xact_lock(2)"),
            ("SELECT pg_advisory_xact_lock(2)", "SELECT pg_advisory_xact_lock(1)"),
        ),
    ),
    "ring of four, padded": Race(
        tuple(padded(each, each % 4 + 1) for each in range(1, 5)), (0, 0, 0, 0, 0), lambda rows: True
    ),
    "write skew, read committed": skew("READ COMMITTED", is_right=False),
    "write skew, repeatable read": skew("REPEATABLE READ", is_right=False),
    "write skew, serializable": skew("SERIALIZABLE", is_right=True),
    "FOR UPDATE by three": Race((add_one_locked,) * 3, (0, 0), counts(3), is_right=True),
    "version check": Race((add_one_checked, add_one_checked), (0, 0), counts(2), is_right=True),
}
