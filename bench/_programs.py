"""Right programs whose rows and results hold what is not theirs to decide, with wrong twins, for `false_alarms.py`.

Each reads a counter, adds one and writes it, with something of the actor's world around that: its clock, its chance,
generated ids, the server's own values, tables that setup made, the driver's connection, returned objects, timeouts. The
right ones lock the row that they read, or check its version; the twins do not. A program is one of ten kinds, in two
styles, with two or three actors.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import DateTime, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm.exc import StaleDataError

from lab import Scenario, actor

__all__ = ["KINDS", "STYLES", "Program", "Trio", "programs"]


class Base(DeclarativeBase):
    """The tables."""


class Counter(Base):
    """What is counted up. `version` is for the style that checks one."""

    __tablename__ = "counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int]
    version: Mapped[int] = mapped_column(default=0)
    at: Mapped[float | None]


class Event(Base):
    """A row with a generated id, and columns that the server fills."""

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True)
    who: Mapped[str]
    secret: Mapped[str | None]
    until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    made: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    key: Mapped[uuid.UUID] = mapped_column(server_default=func.gen_random_uuid())


class Audit(Base):
    """Refers to events without a foreign key."""

    __tablename__ = "audit"
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event: Mapped[int]
    code: Mapped[str]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)


Between = Callable[[AsyncSession, str, int], Awaitable[object]]
"""What happens between the read and the write, given who and what was read; what it gives is returned."""


async def _event(session: AsyncSession, who: str, **values: object) -> int:
    return int(await session.scalar(insert(Event).values(who=who, **values).returning(Event.id)) or 0)


async def _lease(session: AsyncSession, who: str, n: int) -> object:
    zone = (UTC, ZoneInfo("Europe/Rome"), ZoneInfo("America/New_York"))[n % 3]
    await _event(session, who, until=datetime.now(zone) + timedelta(minutes=5))
    return None


async def _secret(session: AsyncSession, who: str, n: int) -> object:
    await _event(session, who, secret=secrets.token_hex(8))
    return None


async def _uuid(session: AsyncSession, who: str, n: int) -> object:
    await _event(session, who, secret=uuid.uuid4().hex)
    return uuid.uuid4().version


async def _reference(session: AsyncSession, who: str, n: int) -> object:
    drawn = await _event(session, who)
    row = {"position": n, "event": drawn, "code": f"ORD{drawn:05d}", "document": {"event": drawn, "by": who}}
    await session.execute(insert(Audit).values(row))
    return n, drawn, 1


async def _epoch(session: AsyncSession, who: str, n: int) -> object:
    await session.execute(update(Counter).where(Counter.id == 1).values(at=time.time()))
    return None


async def _server(session: AsyncSession, who: str, n: int) -> object:
    made = (await session.execute(insert(Event).values(who=who).returning(Event.made, Event.key))).one()
    asked = await session.scalar(text("SELECT extract(epoch FROM clock_timestamp() + interval '7 days')"))
    return made[0].isoformat(), str(made[1]), float(asked or 0)


async def _sleep(session: AsyncSession, who: str, n: int) -> object:
    async with asyncio.timeout(600):
        await asyncio.sleep(30)
    return "slept"


async def _driver(session: AsyncSession, who: str, n: int) -> object:
    driver: Any = (await (await session.connection()).get_raw_connection()).driver_connection
    return await driver.fetchval("INSERT INTO event (who) VALUES ($1) RETURNING who", who)


async def _raw_table(session: AsyncSession, who: str, n: int) -> object:
    await session.execute(text("UPDATE ledger SET total = total + 1"))
    return None


async def _object(session: AsyncSession, who: str, n: int) -> object:
    event = Event(who=who, secret=secrets.token_urlsafe(6))
    session.add(event)
    await session.flush()
    return event


KINDS: dict[str, Between] = {
    "lease": _lease,
    "secret": _secret,
    "uuid": _uuid,
    "reference": _reference,
    "epoch": _epoch,
    "server": _server,
    "sleep": _sleep,
    "driver": _driver,
    "raw table": _raw_table,
    "object": _object,
}
STYLES = ("ORM", "Core")


@dataclass(frozen=True)
class Program(Scenario):
    """Two actors count up. The one with the lock or the version check is right."""

    kind: str = "lease"
    style: str = "ORM"
    right: bool = True
    metadata = Base.metadata
    session_options = {"expire_on_commit": False}  # noqa: RUF012 - a class attribute of the scenario

    async def setup(self, session: AsyncSession) -> None:
        """A counter at 100, so that no small number is mistaken for an id, and a table that metadata does not know."""
        await session.execute(text("CREATE TABLE ledger (total int)"))
        await session.execute(text("INSERT INTO ledger VALUES (0)"))
        session.add(Counter(id=1, n=100, version=0))

    @actor(names=("alice", "bob"))
    async def count(self, session: AsyncSession, name: str) -> object:
        """One request."""
        return await self.request(session, name)

    async def request(self, session: AsyncSession, name: str) -> object:
        """Read, do what is between, write."""
        between = KINDS[self.kind]
        if self.style == "ORM":
            counter = await session.get_one(Counter, 1, with_for_update=True if self.right else None)
            n = counter.n
            value = await between(session, name, n)
            counter.n = n + 1
        else:
            n, version = (await session.execute(select(Counter.n, Counter.version).where(Counter.id == 1))).one()
            change = update(Counter).where(Counter.id == 1).values(n=n + 1, version=version + 1)
            if self.right:
                change = change.where(Counter.version == version)
            done: Any = await session.execute(change)
            if not done.rowcount:
                raise StaleDataError
            value = await between(session, name, n)
        await session.commit()
        return n, value


@dataclass(frozen=True)
class Trio(Program):
    """Three actors."""

    @actor(names=("alice", "bob", "carol"))
    async def count(self, session: AsyncSession, name: str) -> object:
        """One request."""
        return await self.request(session, name)


def programs(*, right: bool) -> Iterator[Program]:
    """All forty of a side."""
    for cls in (Program, Trio):
        for kind in KINDS:
            for style in STYLES:
                yield cls(kind, style, right)
