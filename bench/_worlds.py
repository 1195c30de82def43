"""Programs half of whose statements hold what is not theirs to decide, for `replay.py`.

The actors' clock, their chance, leases that expire while somebody sleeps, ids that a sequence hands out, and what the
server draws itself: now(), random(), gen_random_uuid(). None of it may make a replay differ.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import DateTime, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, serializable

__all__ = ["Worlds"]

Seen = list[object]
Operation = Callable[[AsyncSession, random.Random, Seen, str], Awaitable[None]]


class Base(DeclarativeBase):
    """The tables."""


class Counter(Base):
    """What is fought over."""

    __tablename__ = "counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int]


class Lease(Base):
    """A job that one actor holds for some time."""

    __tablename__ = "lease"
    id: Mapped[int] = mapped_column(primary_key=True)
    holder: Mapped[str | None]
    until: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    token: Mapped[str | None]


class Event(Base):
    """A row with a generated id, and with columns that the server fills."""

    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True)
    who: Mapped[str]
    at: Mapped[float]
    made: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    key: Mapped[uuid.UUID] = mapped_column(server_default=func.gen_random_uuid())


class Note(Base):
    """Refers to events by their ids, in a column, in a text and in a document."""

    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    event: Mapped[int]
    code: Mapped[str]
    document: Mapped[dict[str, object]] = mapped_column(JSONB)


async def _clock(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    zone = chance.choice((UTC, ZoneInfo("Europe/Rome"), ZoneInfo("Asia/Kolkata")))
    until = datetime.now(zone) + timedelta(minutes=chance.randint(1, 9))
    await session.execute(update(Lease).where(Lease.id == chance.randint(1, 3)).values(until=until))


async def _lease(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    """Take a lease if it has expired, work for some time, and write what the work gave."""
    lease = await session.get_one(Lease, chance.randint(1, 3), with_for_update=True, populate_existing=True)
    if lease.until is not None and lease.until > datetime.now(UTC):
        seen.append("busy")
        return
    lease.holder, lease.until = name, datetime.now(UTC) + timedelta(seconds=30)
    lease.token = secrets.token_hex(8)
    await session.flush()
    await asyncio.sleep(chance.choice((0.5, 60)))
    seen.append(lease.token)


async def _tokens(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    # The actors' own chance, as an application draws it; `chance` only says what the program is.
    seen += [random.random(), uuid.uuid4().hex, secrets.token_urlsafe(8)]
    await session.execute(update(Lease).where(Lease.id == chance.randint(1, 3)).values(token=secrets.token_hex(4)))


async def _generated(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    event = Event(who=name, at=time.time())
    session.add(event)
    await session.flush()
    code = f"EV{event.id:05d}"
    session.add(Note(event=event.id, code=code, document={"event": event.id, "at": datetime.now(UTC).isoformat()}))
    await session.flush()
    seen.append(code)


async def _of_the_server(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    drawn = text("SELECT random(), extract(epoch FROM clock_timestamp() + interval '7 days'), gen_random_uuid()")
    seen.append(tuple((await session.execute(drawn)).one()))


async def _timeout(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    try:
        async with asyncio.timeout(chance.choice((1, 30))):
            await asyncio.sleep(chance.choice((0.1, 45)))
        seen.append("in time")
    except TimeoutError:
        seen.append("late")


async def _counted(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    change = update(Counter).where(Counter.id >= chance.randint(1, 3)).values(n=Counter.n + 1).returning(Counter.n)
    seen.append((await session.scalars(change)).all())


async def _read(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    seen.append((await session.execute(select(Counter.id, Counter.n).order_by(Counter.id))).all())


async def _events(session: AsyncSession, chance: random.Random, seen: Seen, name: str) -> None:
    seen.append((await session.execute(select(Event.id, Event.who, Event.made))).all())


WORLD: tuple[Operation, ...] = (_clock, _lease, _tokens, _generated, _of_the_server, _timeout)
PLAIN: tuple[Operation, ...] = (_counted, _read, _events)


class Judged(Scenario):
    """Whose every execution is held against serial runs, as is the default."""

    equivalent = serializable()


@dataclass(frozen=True)
class Worlds(Judged):
    """Programs of three actors, drawn from a seed: one or two transactions of two to four operations each."""

    seed: int = 0
    equivalent = None
    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Three counters, three leases that nobody holds."""
        session.add_all(Counter(id=number, n=0) for number in (1, 2, 3))
        await session.execute(insert(Lease), [{"id": number} for number in (1, 2, 3)])

    @actor(names=("ann", "ben", "cat"))
    async def run(self, session: AsyncSession, name: str) -> Seen:
        """Operations of the two kinds take turns."""
        chance = random.Random(f"worlds {self.seed} {name}")
        seen: Seen = []
        for _ in range(chance.randint(1, 2)):
            async with session.begin():
                for turn in range(chance.randint(2, 4)):
                    operation = chance.choice((WORLD, PLAIN)[turn % 2])
                    await operation(session, chance, seen, name)
        return seen
