"""Never ends, in each way."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scenarios.quiet import ADD, Quiet, hostile, sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from lab import actor


async def sleeps(self: Quiet, session: AsyncSession) -> None:
    await asyncio.sleep(3600)


async def computes(self: Quiet, session: AsyncSession) -> None:
    while True:
        pass


async def computes_on(self: Quiet, session: AsyncSession) -> None:
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


async def blocks(self: Quiet, session: AsyncSession) -> None:
    time.sleep(3600)


async def backtracks(self: Quiet, session: AsyncSession) -> None:
    re.match(r"(a+)+$", "a" * 60 + "b")


async def yields(self: Quiet, session: AsyncSession) -> None:
    while True:
        await asyncio.sleep(0)


async def retries(self: Quiet, session: AsyncSession) -> None:
    while True:
        try:
            await session.execute(text("SELECT 1 / 0"))
        except DBAPIError:
            await session.rollback()


async def swallows(self: Quiet, session: AsyncSession) -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass


async def never(self: Quiet, session: AsyncSession) -> None:
    await asyncio.get_running_loop().create_future()


async def listens(self: Quiet, session: AsyncSession) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        await asyncio.get_running_loop().sock_accept(server)


async def thread(self: Quiet, session: AsyncSession) -> None:
    await asyncio.to_thread(time.sleep, 3600)


async def joins(self: Quiet, session: AsyncSession) -> None:
    threading.Event().wait()


async def process(self: Quiet, session: AsyncSession) -> None:
    await (await asyncio.create_subprocess_exec("sleep", "60")).wait()


async def blocks_on_process(self: Quiet, session: AsyncSession) -> None:
    subprocess.run(["sleep", "60"], check=True)


async def locks_catalog(self: Quiet, session: AsyncSession) -> None:
    await session.execute(text("LOCK pg_class, pg_database, pg_authid"))


pg_sleeps = sql("SELECT pg_sleep(60)")

WAYS: dict[str, Callable[..., Any]] = {
    "Sleeps": sleeps,
    "Computes": computes,
    "ComputesOn": computes_on,
    "Blocks": blocks,
    "Backtracks": backtracks,
    "Yields": yields,
    "Retries": retries,
    "Swallows": swallows,
    "Never": never,
    "Listens": listens,
    "Thread": thread,
    "Joins": joins,
    "Process": process,
    "BlocksOnProcess": blocks_on_process,
    "LocksCatalog": locks_catalog,
    "PgSleeps": pg_sleeps,
}
for _name, _way in WAYS.items():
    globals()[f"InActor{_name}"] = hostile(__name__, f"InActor{_name}", before=_way)
    globals()[f"InSetup{_name}"] = hostile(__name__, f"InSetup{_name}", setup=_way)
    globals()[f"InInvariant{_name}"] = hostile(__name__, f"InInvariant{_name}", judge=_way)


@dataclass(frozen=True)
class SwallowsWhileSleeping(Quiet):
    """Cannot be cancelled, whatever it waits for."""

    async def before(self, session: AsyncSession) -> None:
        while True:
            try:
                await asyncio.sleep(1)
            except BaseException:
                pass


@dataclass(frozen=True)
class LocksItselfOut(Quiet):
    """Waits for itself: two sessions of one actor."""

    @actor
    async def cleo(self, engine: AsyncEngine) -> None:
        async with engine.connect() as one, engine.connect() as other:
            await one.execute(ADD)
            await other.execute(ADD)


@dataclass(frozen=True)
class Sixty(Quiet):
    """Sixty actors that all count."""

    @actor(names=tuple(f"a{number}" for number in range(60)))
    async def others(self, session: AsyncSession, name: str) -> None:
        await session.execute(ADD)
        await session.commit()


class Slow(Exception):
    """Its text never comes."""

    def __str__(self) -> str:
        time.sleep(3600)
        return ""

    __repr__ = __str__


async def raises_slow(self: Quiet, session: AsyncSession) -> None:
    raise Slow


async def returns_slow(self: Quiet, session: AsyncSession) -> object:
    return Slow()


RaisesWhatTakesForEverToShow = hostile(__name__, "RaisesWhatTakesForEverToShow", after=raises_slow)
ReturnsWhatTakesForEverToShow = hostile(__name__, "ReturnsWhatTakesForEverToShow", after=returns_slow)
