"""Mutual exclusion that ends by time: what holds while a holder is idle, or slow, and what does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import DateTime, MetaData, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Outcome, Scenario, actor, claim, invariant, planted_bug

__all__ = ["Fenced", "GuardedCount", "GuardedElsewhere", "Unfenced"]

Sessions = async_sessionmaker[AsyncSession]
LEASE = timedelta(seconds=30)


class Guarded(DeclarativeBase):
    """Tables by themselves."""

    metadata = MetaData()


class Guard(Guarded):
    """The row whose lock lets one in."""

    __tablename__ = "guard"

    id: Mapped[int] = mapped_column(primary_key=True)


class Tally(Guarded):
    """How many lines there are."""

    __tablename__ = "tally"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


class Line(Guarded):
    """A line that somebody wrote."""

    __tablename__ = "line"

    author: Mapped[str] = mapped_column(primary_key=True)


@claim(
    title="What a lock guards is done in the transaction that holds the lock",
    acid="Isolation",
    critical="the server ends an idle transaction, and with it the lock, without a word to who relies on it",
    test="tests/database/test_fault_invariants.py::test_guarded_count",
)
@dataclass(frozen=True)
class GuardedCount(Scenario):
    """Two writers add a line each, and count it; one at a time. A transaction that is idle for too long is ended."""

    metadata = Guarded.metadata
    faults = ("idle-timeout",)

    async def setup(self, session: AsyncSession) -> None:
        """No line yet."""
        session.add_all([Guard(id=1), Tally(id=1, value=0)])

    async def add(self, session: AsyncSession, name: str) -> None:
        """Write the line and count it; right only for one at a time."""
        value = await session.scalar(select(Tally.value).where(Tally.id == 1))
        session.add(Line(author=name))
        await session.execute(update(Tally).where(Tally.id == 1).values(value=(value or 0) + 1))

    @actor(names=("alice", "bob"))
    async def write(self, sessions: Sessions, name: str) -> None:
        """Takes the lock, and adds its line."""
        async with sessions.begin() as session:
            await session.execute(select(Guard).with_for_update())
            await self.add(session, name)

    @invariant
    async def every_line_is_counted(self, session: AsyncSession) -> None:
        """The tally is the number of lines."""
        lines, value = await session.scalar(select(func.count(Line.author))), await session.scalar(select(Tally.value))
        assert lines == value, f"there are {lines} lines, and {value} were counted"


@planted_bug(
    of=GuardedCount,
    token="lab1:scenarios.leases:GuardedElsewhere::-:alice.idle-timeout@alice-1.alice2.bob6.alice2:i633e:zvikw7",
    cause="the lock is held by one transaction, which is idle meanwhile, and the work is done in another",
    fix="do the work in the transaction that holds the lock, so that both end together",
)
@dataclass(frozen=True)
class GuardedElsewhere(GuardedCount):
    """Holds the lock in a session of its own."""

    @actor(names=("alice", "bob"))
    async def write(self, sessions: Sessions, name: str) -> None:
        """Takes the lock, and adds its line in another session."""
        async with sessions.begin() as guard:
            await guard.execute(select(Guard).with_for_update())
            async with sessions.begin() as session:
                await self.add(session, name)


class Leased(DeclarativeBase):
    """A table by itself."""

    metadata = MetaData()


class Document(Leased):
    """Whoever has leased it until some time may change it. `fence` counts the leases."""

    __tablename__ = "leased_document"

    id: Mapped[int] = mapped_column(primary_key=True)
    fence: Mapped[int]
    until: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    words: Mapped[int]


@claim(
    title="Who has lost a lease changes nothing any more",
    acid="Isolation",
    critical="a statement that takes longer than the lease writes over the work of the next holder",
    test="tests/database/test_fault_invariants.py::test_fenced_lease",
)
@dataclass(frozen=True)
class Fenced(Scenario):
    """Two editors lease a document for 30 s, read it, and write it back with a word more; a statement may take long."""

    metadata = Leased.metadata
    faults = ("slow",)

    async def setup(self, session: AsyncSession) -> None:
        """An empty document that nobody has leased."""
        session.add(Document(id=1, fence=0, until=datetime(2020, 1, 1, tzinfo=UTC), words=0))

    async def lease(self, session: AsyncSession) -> int | None:
        """The number of the lease, None where somebody else has one."""
        async with session.begin():
            document = (await session.scalars(select(Document).with_for_update())).one()
            if document.until > (now := datetime.now(UTC)):
                return None
            document.until = now + LEASE
            document.fence += 1
            return document.fence

    async def save(self, session: AsyncSession, fence: int, words: int) -> bool:
        """Write the document, if the lease is still the last one; whether it was written."""
        mine = update(Document).where(Document.id == 1, Document.fence == fence).values(words=words)
        return bool((await session.execute(mine.returning(Document.id))).all())

    @actor(names=("alice", "bob"))
    async def edit(self, session: AsyncSession) -> str:
        """Adds a word."""
        fence = await self.lease(session)
        if fence is None:
            return "busy"
        words = await session.scalar(select(Document.words)) or 0
        saved = await self.save(session, fence, words + 1)
        await session.commit()
        return "saved" if saved else "too late"

    @invariant
    async def what_was_saved_is_there(self, session: AsyncSession, outcome: Outcome) -> None:
        """There is a word for each who saved one."""
        saved = [name for name, result in outcome.results.items() if result.value == "saved"]
        words = await session.scalar(select(Document.words))
        perhaps = range(len(saved), len(saved) + len(outcome.in_doubt) + 1)
        assert words in perhaps, f"{len(saved)} saved a word each, and there are {words}"


@planted_bug(
    of=Fenced,
    token="lab1:scenarios.leases:Unfenced::-:alice4.slow@alice.bob6.alice2:3dafr:p24plw",
    cause="the lease is looked at before the statement that relies on it, and ends while that is under way",
    fix="let the statement itself ask for the number of the lease, which the next holder raises",
)
@dataclass(frozen=True)
class Unfenced(Fenced):
    """Relies on the lease that it has taken."""

    async def save(self, session: AsyncSession, fence: int, words: int) -> bool:
        """Write the document."""
        await session.execute(update(Document).where(Document.id == 1).values(words=words))
        return True
