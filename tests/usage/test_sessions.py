"""Sessions, engines and transactions as applications use them: the lab finds the race in each, and its absence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
import tenacity
from helpers.kit import Order
from helpers.usage import EXECUTIONS, Counting, told_apart
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool
from sqlmodel import Field, SQLModel
from sqlmodel import select as select_model
from sqlmodel.ext.asyncio.session import AsyncSession as ModelSession

from lab import actor, invariant
from lab.search.hunt import Hunt

HOME = "postgresql+asyncpg://application@db.invalid/home"
"""Where the application's own engines point. Nothing answers there: a watched engine never dials its own address."""


class Base(DeclarativeBase):
    """The application's tables."""


class Counter(Base):
    __tablename__ = "counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    hits: Mapped[int]


class Hit(SQLModel, table=True):
    """A counter as an SQLModel, which is a table and a pydantic model at once."""

    id: int | None = Field(default=None, primary_key=True)
    hits: int = 0


@dataclass(frozen=True)
class Hits(Counting):
    """One counter at zero; two hits must arrive."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add(Counter(id=1, hits=0))

    @invariant
    async def both_hits_arrive(self, session: AsyncSession) -> None:
        assert await session.scalar(select(Counter.hits)) == 2

    async def hit(self, session: AsyncSession | async_scoped_session[AsyncSession]) -> None:
        counter = await session.get_one(Counter, 1, with_for_update=self.locked)
        counter.hits += 1

    def hit_now(self, session: Session) -> None:
        session.get_one(Counter, 1, with_for_update=self.locked).hits += 1


@dataclass(frozen=True)
class ByRunSync(Hits):
    """The work is an ordinary function, called by `run_sync`."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await session.run_sync(self.hit_now)
        await session.commit()


@dataclass(frozen=True)
class ByBegin(Hits):
    """`async with factory.begin()` commits at its end."""

    @actor(names=("alice", "bob"))
    async def work(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        async with sessions.begin() as session:
            await self.hit(session)


@dataclass(frozen=True)
class ByAutobegin(Hits):
    """Two transactions one after the other in one session: the second begins by itself."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await session.scalar(select(Counter.id))
        await session.commit()
        await self.hit(session)
        await session.commit()


@dataclass(frozen=True)
class ByNested(Hits):
    """The work is within a savepoint."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        async with session.begin(), session.begin_nested():
            await self.hit(session)


@dataclass(frozen=True)
class ByStream(Hits):
    """Rows come by a server-side cursor."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        counters = select(Counter).with_for_update() if self.locked else select(Counter)
        async for counter in await session.stream_scalars(counters.execution_options(yield_per=1)):
            counter.hits += 1
        await session.commit()


class Watched(Hits):
    """Requests that know nothing but an engine of the application's own."""

    engine: ClassVar[AsyncEngine]

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        if "engine" in vars(cls):
            cls.watch = (cls.engine,)

    async def one(self) -> None:
        async with AsyncSession(self.engine) as session, session.begin():
            await self.hit(session)


class Own(Watched):
    """One hit in each request."""

    @actor(names=("alice", "bob"))
    async def work(self) -> None:
        await self.one()


class Unpooled(Own):
    """Each request opens a connection and closes it."""

    engine = create_async_engine(HOME, poolclass=NullPool)


class EngineLevel(Own):
    """The engine has a level of its own, under which the second writer is refused."""

    engine = create_async_engine(HOME, isolation_level="REPEATABLE READ")


class OptionLevel(Own):
    """The level is an option of one connection."""

    engine = create_async_engine(HOME)

    @actor(names=("alice", "bob"))
    async def work(self) -> None:
        async with AsyncSession(self.engine) as session:
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            await self.hit(session)
            await session.commit()


class Autocommit(Own):
    """Each statement is a transaction, so a lock does not outlast its statement."""

    engine = create_async_engine(HOME, isolation_level="AUTOCOMMIT")


class Scoped(Own):
    """The session of the current task, as `async_scoped_session` keeps it."""

    engine = create_async_engine(HOME)
    session = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)

    @actor(names=("alice", "bob"))
    async def work(self) -> None:
        await self.hit(self.session)
        await self.session.commit()
        await self.session.remove()


class Retried(Own):
    """tenacity begins the transaction again when PostgreSQL refuses it."""

    engine = create_async_engine(HOME, isolation_level="REPEATABLE READ")

    @actor(names=("alice", "bob"))
    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(DBAPIError),
        stop=tenacity.stop_after_attempt(5),
        wait=tenacity.wait_exponential(multiplier=1),
        reraise=True,
    )
    async def work(self) -> None:
        await self.one()


class InGather(Watched):
    """One request does its two hits at once, in sessions of their own; the other request only reads."""

    engine = create_async_engine(HOME)

    @actor
    async def alice(self) -> None:
        await asyncio.gather(self.one(), self.one())

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await session.scalar(select(Counter.hits))


class InTaskGroup(Watched):
    """The same in a task group."""

    engine = create_async_engine(HOME)

    @actor
    async def alice(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.one())
            group.create_task(self.one())

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await session.scalar(select(Counter.hits))


@dataclass(frozen=True)
class ByModel(Counting):
    """SQLModel's own session and `exec`."""

    metadata = SQLModel.metadata
    engine = create_async_engine(HOME)
    watch = (engine,)

    async def setup(self, session: AsyncSession) -> None:
        session.add(Hit(id=1))

    @actor(names=("alice", "bob"))
    async def work(self) -> None:
        hits = select_model(Hit).with_for_update() if self.locked else select_model(Hit)
        async with ModelSession(self.engine) as session:
            hit = (await session.exec(hits)).one()
            hit.hits += 1
            session.add(hit)
            await session.commit()

    @invariant
    async def both_hits_arrive(self, session: AsyncSession) -> None:
        assert await session.scalar(select(Hit.hits)) == 2


@pytest.fixture(scope="module", autouse=True)
async def engines(anyio_backend: str) -> AsyncIterator[None]:
    yield
    for owner in (Unpooled, EngineLevel, OptionLevel, Autocommit, Scoped, Retried, InGather, InTaskGroup, ByModel):
        await owner.engine.dispose()


@pytest.mark.parametrize(
    "scenario",
    [ByRunSync, ByBegin, ByAutobegin, ByNested, ByStream, Unpooled, Scoped, InGather, InTaskGroup, ByModel],
)
async def test_a_lost_update_is_found_in_each_way_to_hold_a_session(explorer, scenario):
    """Found, named P4, replayed; with FOR UPDATE in the same shape it passes."""
    await told_apart(explorer, scenario())


@pytest.mark.parametrize("scenario", [EngineLevel, OptionLevel])
async def test_a_level_that_the_application_chose_is_the_level_of_its_transactions(explorer, scenario):
    """At REPEATABLE READ the second writer is refused (40001): the hit does not arrive, and no update is lost."""
    record = await explorer.run(scenario(), Order("alice alice bob"))
    assert {name: result.sqlstate for name, result in record.outcome.results.items()} == {"alice": "", "bob": "40001"}


async def test_under_autocommit_a_lock_does_not_help(explorer):
    """FOR UPDATE is let go at the end of its statement, so that the locked variant loses the update, too."""
    for locked in (False, True):
        result = await Hunt.of(Autocommit(locked), executions=EXECUTIONS).run(explorer)
        assert result.verdict == "fail"


async def test_a_retry_of_tenacity_is_run_without_its_pauses(explorer):
    """Refused at REPEATABLE READ, tried again by tenacity with pauses of seconds that take no time: all hits arrive."""
    result = await Hunt.of(Retried(), executions=EXECUTIONS).run(explorer)
    assert result.verdict == "pass", result.reason or result.failures
    record = await explorer.run(Retried(), Order("alice alice bob bob alice"))
    assert record.outcome.rows["counter"] == ("(1,2)",)
    assert any(step.result and step.result.error == "40001" for step in record.trace), "one of them was refused first"
