"""Scenarios that cannot be run, each in a way of its own, and some that can but end badly."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from dataclasses import dataclass

from scenarios.counter import Base, Counted, Counter, LostCount
from sqlalchemy import Column, Integer, MetaData, Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, invariant
from lab.postgres.server.keeper import parent

NAMELESS = MetaData()
Table("odd", NAMELESS, Column("id", Integer, primary_key=True), Column("what", Integer, server_default=text("nothing")))


@dataclass(frozen=True)
class NoActor(Scenario):
    metadata = Base.metadata


@dataclass(frozen=True)
class OneActor(Scenario):
    @actor
    async def only(self, session: AsyncSession) -> None:
        await session.execute(text("SELECT 1"))


class NoDataclass(Counted):
    colour: str = "red"


@dataclass(frozen=True, kw_only=True)
class NoDefault(Counted):
    size: int


@dataclass(frozen=True)
class UnknownParameter(Counted):
    @actor
    async def cleo(self, sesion: AsyncSession) -> None:
        """Asks for what there is not."""


@dataclass(frozen=True)
class NotAsync(Counted):
    @actor
    def cleo(self, session: AsyncSession) -> None:
        """Is no coroutine."""


@dataclass(frozen=True)
class BadSetup(Counted):
    async def setup(self, session: AsyncSession) -> None:
        raise KeyError("the file of accounts")


@dataclass(frozen=True)
class BadRows(Counted):
    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Counter(id=1, value=1), Counter(id=1, value=2)])


@dataclass(frozen=True)
class BadTables(Counted):
    metadata = NAMELESS


@dataclass(frozen=True)
class BadInvariant(Counted):
    @invariant
    async def divides(self, session: AsyncSession) -> None:
        assert 1 / (self.start * 0)


@dataclass(frozen=True)
class BadInvariantSql(Counted):
    @invariant
    async def asks(self, session: AsyncSession) -> None:
        await session.execute(text("SELECT * FROM nowhere"))


@dataclass(frozen=True)
class BadLevel(Counted):
    isolation = "READ UNCOMITTED"


@dataclass(frozen=True)
class BadParameter(Counted):
    start: int = 0

    def __post_init__(self) -> None:
        raise ValueError("start is never right")


CALLS = 80
"""Calls of an actor in this process before something bad happens: enough for a failure to be found before."""
calls = itertools.count(1)


@dataclass(frozen=True)
class ServerDies(LostCount):
    """Loses counts, and after a while its server is killed under it."""

    async def add(self, session: AsyncSession) -> None:
        if next(calls) == CALLS:
            backend = await session.scalar(select(func.pg_backend_pid()))
            os.kill(parent(backend), signal.SIGKILL)
        await LostCount.add(self, session)


@dataclass(frozen=True)
class ServerCrashes(ServerDies):
    """Its server is not killed as a whole but one backend, after which PostgreSQL restarts itself."""

    async def add(self, session: AsyncSession) -> None:
        if next(calls) == CALLS:
            os.kill(await session.scalar(select(func.pg_backend_pid())), signal.SIGKILL)
        await LostCount.add(self, session)


@dataclass(frozen=True)
class Interrupted(LostCount):
    """Loses counts, and after a while somebody presses Ctrl-C."""

    async def add(self, session: AsyncSession) -> None:
        await LostCount.add(self, session)
        if next(calls) == CALLS:
            os.kill(os.getppid() if "lab.search.workers" in sys.orig_argv else os.getpid(), signal.SIGINT)


@dataclass(frozen=True)
class BreaksLate(LostCount):
    """Loses counts, and after a while an invariant of its own crashes."""

    @invariant
    async def holds_for_a_while(self, session: AsyncSession) -> None:
        assert 1 / (next(calls) < CALLS // 2)


@dataclass(frozen=True)
class Endless(Scenario):
    """Two actors that never end."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        while True:
            await session.execute(text("SELECT 1"))

    @actor
    async def ben(self, session: AsyncSession) -> None:
        await asyncio.sleep(1)
