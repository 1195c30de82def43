"""Values and texts of every kind in what actors send, get, return and raise: none of them is taken for a violation."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from helpers.kit import Bank, Order, add
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    column,
    delete,
    exists,
    insert,
    lateral,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeDecorator

import lab
from lab import Scenario, actor, invariant
from lab.analysis.tally import HuntResult
from lab.engine import origins
from lab.errors import printable
from lab.explore import Conditions
from lab.postgres.database import Database
from lab.postgres.statements import footprints
from lab.search.hunt import Hunt

METADATA = MetaData()
BIG = 10**5000
"""An integer of more digits than Python shows."""


class Mute(int):
    """A number that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


class Loud(str):
    """A text that is shown with half a character, and moves the cursor."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "\ud800\x1b[31m[red]"


class MuteType(TypeDecorator):
    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return Mute(value)


THING = Table(
    "thing",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", Numeric),
    Column("mute", MuteType),
    Column("words", Text),
    Column("document", JSONB),
    Column("bytes", LargeBinary),
)
LIGHT = table("thing", column("id"), column("n"))
Do = Callable[[AsyncSession], Awaitable[object]]


def doing(do: Do, broken: str = "") -> Scenario:
    """One actor does something, another one changes a row; the invariant holds, or does not with these words."""

    class Doing(Scenario):
        metadata = METADATA

        async def setup(self, session: AsyncSession) -> None:
            await session.execute(insert(THING), [{"id": 1, "n": 0}, {"id": 2, "n": 0}])

        @actor
        async def ann(self, session) -> object:
            value = await do(session)
            await session.commit()
            return value

        @actor
        async def ben(self, session) -> None:
            await session.execute(update(THING).where(THING.c.id == 1).values(n=THING.c.n + 1))
            await session.commit()

        @invariant
        async def holds(self) -> None:
            assert not broken, broken

    return Doing()


async def big_numbers(session: AsyncSession) -> object:
    await session.execute(insert(THING).values(id=9, n=Decimal(BIG)))
    await session.execute(text(f"INSERT INTO thing (id, n) VALUES (8, 1{'0' * 5000})"))
    return int(await session.scalar(select(THING.c.n).where(THING.c.id == 8)))


async def several_big_numbers(session: AsyncSession) -> None:
    await session.execute(insert(THING).values([{"id": 9, "n": Decimal(BIG)}, {"id": 8, "n": Decimal(BIG)}]))


async def mute(session: AsyncSession) -> object:
    await session.execute(insert(THING).values(id=9, mute=3, words=Loud("x")))
    return [Mute(1), Loud("y"), "\ud800", {"\x1b": "[red]"}, (await session.execute(select(THING))).all()]


async def half_characters(session: AsyncSession) -> None:
    await lab.point("\x1b[31m[red]\ud800\n")
    await lab.point("x" * 5000)
    await session.execute(text("SELECT '\x1b[31m[bold]\x07\r' /* \x1b[2J */"))
    with pytest.raises(UnicodeEncodeError):
        await session.execute(text("SELECT '\ud800'"))


async def large(session: AsyncSession, size: int = 2000) -> object:
    await session.execute(insert(THING).values(id=9, words="x" * 50 * size, bytes=b"\xff" * 5 * size))
    await session.execute(select(THING).where(THING.c.id.in_(range(size))))
    await session.execute(text(f"SELECT {','.join(f'{number} AS c{number}' for number in range(1600))}"))
    return (await session.execute(select(THING))).all()


async def huge(session: AsyncSession) -> object:
    return await large(session, 20_000)


async def empty(session: AsyncSession) -> None:
    await session.execute(text("SELECT"))
    await session.execute(text(" ;"))
    await session.execute(text("-- nothing"))
    await session.execute(select(THING).where(THING.c.id.in_([])))
    await session.execute(update(THING).where(THING.c.id.in_([])).values(words=""))
    await lab.point("")


async def light(session: AsyncSession) -> None:
    await session.execute(insert(LIGHT).values(id=9, n=1))
    await session.execute(insert(LIGHT), [{"id": 10, "n": 1}, {"id": 11, "n": 1}])
    await session.execute(insert(LIGHT).from_select(["id", "n"], select(LIGHT.c.id + 50, LIGHT.c.n)))
    await session.execute(select(LIGHT.c.id).where(exists().where(LIGHT.c.id == 1)).with_for_update())
    await session.execute(select(lateral(select(LIGHT).subquery().select())))
    await session.execute(select(table("thing")))
    await session.execute(update(LIGHT).where(LIGHT.c.id == 9).values({"n": LIGHT.c.n + 1}))
    await session.execute(delete(LIGHT).where(LIGHT.c.id == 9))


async def numbers_in_an_error(session: AsyncSession) -> None:
    nines = "9" * 5000
    detail = f"Process {nines} waits for ShareLock on relation {nines} of database 1; blocked by process {nines}."
    await session.execute(text(f"DO $$ BEGIN RAISE 'x' USING DETAIL = '{detail}', ERRCODE = '40P01'; END $$"))


HARMLESS = (big_numbers, several_big_numbers, mute, half_characters, large, empty, light, numbers_in_an_error)


async def hunted(explorer, scenario: Scenario, **more: Any) -> HuntResult:
    result = await Hunt.of(scenario, executions=2, keep_going=True, **more).run(explorer)
    assert not result.trouble
    json.dumps(result.shown())
    return result


@pytest.mark.parametrize("do", [*HARMLESS, pytest.param(huge, marks=pytest.mark.long)], ids=lambda each: each.__name__)
async def test_no_value_is_a_violation_or_ends_a_hunt(explorer, do):
    """Neither of a right scenario nor of one that breaks for another reason, whose report can be shown."""
    assert not (await hunted(explorer, doing(do))).failures
    (failure,) = (await hunted(explorer, doing(do, "\ud800\x1b[31m[red]"))).failures
    assert failure.broken == "holds"
    assert printable(failure.report) == failure.report
    assert len(failure.report) < 10_000
    assert "defect of its own" not in failure.report


class Unprintable(Exception):
    def __str__(self) -> str:
        return " ".join(self.args)


@pytest.mark.parametrize(
    "error",
    [
        Unprintable(None),
        ValueError(BIG),
        type("\x1b[31mE\n", (Exception,), {})("\ud800\x00" + "x" * 20_000),
        ExceptionGroup("two", [Unprintable(1), ValueError("\x9b")]),
    ],
    ids=["unprintable", "big", "loud", "group"],
)
async def test_an_error_that_cannot_be_shown_is_a_violation_that_is_reported(explorer, error):
    async def fail(session: AsyncSession) -> None:
        await session.execute(select(1))
        raise error

    (failure,) = (await hunted(explorer, doing(fail))).failures
    assert failure.broken == "ann ends without an error"
    assert printable(failure.report) == failure.report
    assert len(failure.report) < 5000


# ---------------------------------------------------------------------------------------------- defects of the lab


class Lost(Bank):
    @actor(names=("ann", "ben"))
    async def work(self, session) -> None:
        balance = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
        await session.execute(text(f"UPDATE account SET balance = {balance} + 1 WHERE id = 1"))
        await session.commit()

    @invariant
    async def both_count(self, session) -> None:
        assert await session.scalar(text("SELECT balance FROM account WHERE id = 1")) == 102


def fail(*args: object, **named: object) -> Any:
    raise KeyError("of the lab")


@pytest.mark.parametrize("wrong", ["lab.postgres.database.Database.history", "lab.explore.ending.anomalies_in"])
async def test_a_defect_in_recording_costs_the_history_and_is_said_once(explorer, monkeypatch, wrong):
    """The finding, its story and its token stand."""
    monkeypatch.setattr(wrong, fail)
    result = await Hunt.of(Lost(), executions=20).run(explorer)
    assert not result.trouble
    (failure,) = result.failures
    assert failure.report.count("the lab could not record who read and wrote what, which is a defect of its own") == 1
    assert failure.replays == failure.identical == 5
    assert failure.token in failure.report
    assert "UPDATE account" in failure.report


async def test_a_check_that_needed_what_could_not_be_recorded_is_no_pass(explorer, monkeypatch):
    monkeypatch.setattr(Database, "history", fail)
    asked = Conditions(checks=("isolation",))
    result = await Hunt.of(doing(empty), executions=3, conditions=asked).run(explorer)
    assert result.verdict == "inconclusive"
    assert "the lab could not record" in result.reason


async def test_a_defect_in_noting_lines_costs_the_lines_and_is_said_once(explorer, monkeypatch):
    monkeypatch.setattr(origins, "_running", fail)
    result = await Hunt.of(Lost(), executions=20).run(explorer)
    assert not result.trouble
    (failure,) = result.failures
    assert failure.report.count("the lab could not find the line of code behind each step") == 1
    assert [each["at"] for each in failure.story["steps"]] == [None] * failure.steps


async def test_a_statement_at_which_reading_fails_depends_on_everything(plain, monkeypatch):
    """It is as one that is not understood."""
    monkeypatch.setattr(footprints, "_accesses", fail)
    record = await plain.run(doing(light), Order("ann"))
    assert record.trace.steps[0].action.touches.own is None
    assert not record.failed


async def test_a_message_of_the_labs_own_that_an_actor_forges_ends_no_hunt(explorer):
    """Such a message reports what was written, as JSON; this one is none."""

    class Forges(Lost):
        @actor
        async def cleo(self, session) -> None:
            await session.execute(add(2))
            await session.execute(text("DO $$ BEGIN RAISE LOG 'lab: written' USING DETAIL = 'nonsense'; END $$"))

    record = await explorer.run(Forges(), Order("ann"), recorded=True)
    assert record.outcome.results["cleo"].returned
    assert record.history is None
    (said,) = record.defects
    assert "the lab could not record" in said
