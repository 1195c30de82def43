"""The actors' clock and chance are the lab's: equal schedules read equal times and draw equal values."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
import uuid
from datetime import UTC, date, datetime, timedelta
from random import random as random_by_name
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Column, DateTime, Float, Integer, MetaData, Table, Text, insert, select

from lab import Scenario, actor
from lab.model.outcome import ResultKind
from lab.schedulers import make_scheduler
from lab.schedulers.replay import Replay

METADATA = MetaData()
NOTE = Table("note", METADATA, Column("id", Integer, primary_key=True), Column("text", Text))
LEASE = Table(
    "lease",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("until", DateTime(timezone=True)),
    Column("at", Float),
)


class Moment(datetime):
    """A subclass, as pendulum has one."""


# ruff: noqa: PLW0108 - each is looked up when an actor calls it

VALUES = {
    "naive": lambda: datetime.now(),  # noqa: DTZ005
    "utc": lambda: datetime.now(UTC),
    "utcnow": lambda: datetime.utcnow(),  # noqa: DTZ003
    "zone": lambda: datetime.now(ZoneInfo("Europe/Rome")),
    "offset": lambda: datetime.now(UTC) + timedelta(minutes=5),
    "day": lambda: date.today(),  # noqa: DTZ011
    "float": lambda: time.time(),
    "whole": lambda: int(time.time()),
    "milliseconds": lambda: time.time_ns() // 1_000_000,
    "nanoseconds": lambda: time.time_ns(),
    "iso": lambda: datetime.now(UTC).isoformat(),
    "clock": lambda: time.strftime("%H:%M:%S"),
    "subclass": lambda: Moment.now(UTC),
    "monotonic": lambda: time.monotonic(),
    "loop": lambda: asyncio.get_running_loop().time(),
    "random": lambda: random.random(),
    "by name": lambda: random_by_name(),
    "integer": lambda: random.randint(0, 10**9),
    "gauss": lambda: random.gauss(0, 1),
    "choice": lambda: random.sample(range(10**6), 3),
    "own generator": lambda: random.Random().random(),
    "system": lambda: random.SystemRandom().random(),
    "token": lambda: secrets.token_hex(8),
    "below": lambda: secrets.randbelow(10**9),
    "bytes": lambda: os.urandom(8).hex(),
    "uuid4": lambda: uuid.uuid4().hex,
    "uuid1": lambda: uuid.uuid1().hex,
}


class Writes(Scenario):
    """Two actors write a value that no schedule should change, between two steps."""

    metadata = METADATA

    @actor(names=("alice", "bob"))
    async def write(self, session, name) -> str:
        await session.execute(select(NOTE.c.id))
        text = f"{VALUES[self.kind]()!r} {type(VALUES[self.kind]()).__name__}"
        await session.execute(insert(NOTE).values(id=len(name), text=text))
        await session.commit()
        return text


def writes(kind: str) -> Writes:
    return type("Writes", (Writes,), {"kind": kind})()


@pytest.mark.parametrize("times", [5, pytest.param(20, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", VALUES)
async def test_every_kind_of_clock_and_chance_is_the_same_in_each_replay(explorer, kind, times):
    scenario = writes(kind)
    first = await explorer.run(scenario, make_scheduler("random", 3))
    assert first.outcome.results["alice"].kind is ResultKind.RETURNED
    values = first.outcome.results["alice"].value, first.outcome.results["bob"].value
    for _ in range(times):
        again = await explorer.run(scenario, Replay(first.schedule))
        assert (again.trace, again.outcome) == (first.trace, first.outcome)
        assert (again.outcome.results["alice"].value, again.outcome.results["bob"].value) == values
    assert not first.outcome.uncontrolled
