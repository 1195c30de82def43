"""Requests that wait for each other nearly all the time."""

from __future__ import annotations

from dataclasses import dataclass

from scenarios.counter import Counted, Counter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor


@dataclass(frozen=True)
class Queueing(Counted):
    """Five requests lock one row, one after the other."""

    ann = None
    ben = None
    every_request_counts = None

    @actor(names=("first", "second", "third", "fourth", "fifth"))
    async def request(self, session: AsyncSession) -> None:
        counter = (await session.scalars(select(Counter).with_for_update())).one()
        counter.value += 1
        await session.commit()
