"""What no schedule controls is learnt from two equal runs: named, covered, compared by nobody."""

from __future__ import annotations

import asyncio
import itertools
import re
import uuid
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from helpers.kit import Bank, Order, add, replays
from sqlalchemy import Column, DateTime, Float, Integer, MetaData, Table, Text, Uuid, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, invariant
from lab.errors import UncontrolledError
from lab.explore import Conditions, Explorer
from lab.explore.ending import CLOCKS_DIFFER
from lab.explore.equal_runs import difference
from lab.explore.seen import Seen, Shown
from lab.model.decision import Go
from lab.model.nature import UNCONTROLLED
from lab.model.outcome import Ending
from lab.model.trace import Action, ActionKind, Step
from lab.model.verdict import Verdict
from lab.postgres.server.embedded import embedded_server
from lab.scenario.declare import target_of
from lab.schedulers import make_scheduler
from lab.search.hunt import Hunt
from lab.search.job import Job
from lab.shrink.replays import replay_times
from lab.testing import Lab

pytestmark = pytest.mark.anyio

METADATA = MetaData()
ITEM = Table(
    "thing",
    METADATA,
    Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid()),
    Column("owner", Text),
    Column("made", DateTime(timezone=True), server_default=func.now()),
    Column("changed", DateTime(timezone=True), onupdate=func.now()),
    Column("n", Integer, server_default="0"),
)
DOCUMENT = Table(
    "document",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("body", JSONB),
    Column("due", DateTime(timezone=True)),
    Column("number", Text),
    Column("share", Float),
)
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
WEEK = text("SELECT clock_timestamp() + interval '7 days'")


class _Items(Scenario):
    """Keys, times of making and of change come from the server, and reach results and what is returned."""

    metadata = METADATA
    locks: ClassVar[bool] = True

    async def setup(self, session: AsyncSession) -> None:
        await session.execute(insert(ITEM).values(owner="first"))

    @actor(names=("a", "b"))
    async def work(self, session: AsyncSession, name: str) -> list[Any]:
        made = (await session.execute(insert(ITEM).values(owner=name).returning(ITEM.c.id, ITEM.c.made))).one()
        query = select(ITEM.c.n).where(ITEM.c.owner == "first")
        n = await session.scalar(query.with_for_update() if self.locks else query)
        await session.execute(update(ITEM).where(ITEM.c.owner == "first").values(n=n + 1))
        await session.execute(select(ITEM.c.n).where(ITEM.c.id == made.id))
        await session.commit()
        return [{"key": made.id, "made": made.made, "n": n}]


@dataclass(frozen=True)
class Items(_Items):
    """Right."""


@dataclass(frozen=True)
class ItemsUnlocked(_Items):
    """Wrong: an update is lost beside all that differs by nature."""

    locks = False


class _Documents(Scenario):
    """The server's time a week ahead in a JSON document and in a column; its chance and its transaction's number."""

    metadata = METADATA
    locks: ClassVar[bool] = True

    async def setup(self, session: AsyncSession) -> None:
        await session.execute(insert(DOCUMENT).values(id=1, body={"n": 0}))

    @actor(names=("a", "b"))
    async def work(self, session: AsyncSession) -> str:
        query = select(DOCUMENT.c.body).where(DOCUMENT.c.id == 1)
        body = await session.scalar(query.with_for_update() if self.locks else query)
        at = str(await session.scalar(WEEK))
        number = await session.scalar(text("SELECT pg_current_xact_id()::text"))
        values = {"due": text("now() + interval '7 days'"), "number": number, "share": func.random()}
        body = {"n": body["n"] + 1, "inside": [{"at": at}]}
        await session.execute(update(DOCUMENT).where(DOCUMENT.c.id == 1).values(body=body, **values))
        await session.commit()
        return number


@dataclass(frozen=True)
class Documents(_Documents):
    """Right."""


@dataclass(frozen=True)
class DocumentsUnlocked(_Documents):
    """Wrong."""

    locks = False


class Refused(Exception):
    """What an application raises."""


@dataclass(frozen=True)
class Refusals(Scenario):
    """Right: the server's chance reaches an error text and, as a literal, the text of a statement."""

    metadata = METADATA
    allows = (Refused,)

    @actor(names=("a", "b"))
    async def refuse(self, session: AsyncSession) -> None:
        key = await session.scalar(text("SELECT gen_random_uuid()"))
        share = await session.scalar(text("SELECT random()"))
        await session.execute(text(f"SELECT '{key}'"))
        await session.execute(update(DOCUMENT).where(DOCUMENT.c.id == 1).values(share=1.0))  # something to conflict on
        raise Refused(f"no {uuid.UUID(str(key)).hex} at {share}")


async def hunted(explorer: Explorer, scenario: Scenario, level: str | None = None, executions: int = 12) -> Any:
    job = Job(
        target_of(scenario), executions=executions, refine=False, conditions=Conditions(level, checks=("serial",))
    )
    return await Hunt(scenario, job).run(explorer)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("scenario", [Items(), Documents(), Refusals()], ids=lambda each: type(each).__name__)
async def test_what_the_server_draws_is_no_violation_and_no_divergence(explorer, scenario, level):
    """Keys, times, chance, transaction numbers, error texts: equal to a serial run, and replays are identical."""
    result = await hunted(explorer, scenario, level, executions=8)
    assert result.verdict == "pass", result.reason
    conditions = Conditions(level, checks=("serial",))
    record = await explorer.run(scenario, make_scheduler("random", 3), conditions)
    replays = await replay_times(explorer, scenario, record.schedule, conditions, 3, like=record)
    assert replays.identical == 3, replays.divergence


@pytest.mark.parametrize("scenario", [ItemsUnlocked(), DocumentsUnlocked()], ids=lambda each: type(each).__name__)
async def test_a_lost_update_is_found_beside_what_differs(explorer, scenario):
    """Only the places that differ are left out: the counter in the same row, and in the same document, is compared."""
    result = await hunted(explorer, scenario)
    assert [failure.checker for failure in result.failures] == ["serial"]
    assert "not compared, since they differ between two equal runs: column" in result.failures[0].report


async def test_places_are_named(explorer):
    """By column, by part of a document, by result, by what was returned; a column is named once, not also as result."""
    assert (await hunted(explorer, Items(), executions=2)).uncontrolled == [
        "column thing.changed",
        "column thing.id",
        "column thing.made",
        "what a returned at [0].key and [0].made",
        "what b returned at [0].key and [0].made",
    ]
    named = (await hunted(explorer, Documents(), executions=2)).uncontrolled
    assert {"column document.body at inside[].at", "column document.due", "column document.share"} <= set(named)
    assert {"result 1 of SELECT pg_current_xact_id()::text", "what a returned"} <= set(named)
    assert (await hunted(explorer, Refusals(), executions=2)).uncontrolled[-2:] == [
        "the error text of a",
        "the error text of b",
    ]


async def test_the_two_runs_are_no_executions_of_the_search(explorer):
    """They are made once for a scenario at a level, before its first execution, and no scheduler hears of them."""
    begun = []

    @dataclass(frozen=True)
    class Counted(Scenario):
        @actor(names=("a", "b"))
        async def ask(self, session: AsyncSession, name: str) -> None:
            begun.append(name)
            await session.execute(text("SELECT 1"))

        @invariant
        async def anything(self) -> None:
            """Without an invariant there would be serial runs as well."""

    scheduler = make_scheduler("random", 0)
    for number in range(3):
        await explorer.run(Counted(), scheduler, execution=number)
    assert begun.count("a") == 2 + 3
    await explorer.run(Counted(), make_scheduler("serial", 0))
    assert begun.count("a") == 2 + 3 + 1
    await explorer.run(Counted(), make_scheduler("serial", 0), isolation="SERIALIZABLE")
    assert begun.count("a") == 2 + 3 + 1 + 2 + 1


async def test_a_serial_run_that_does_something_else_the_second_time_is_inconclusive(explorer):
    """Other rows found, or other statements: no schedule can be repeated. The first difference is shown."""

    @dataclass(frozen=True)
    class Sampled(Scenario):
        @actor(names=("a", "b"))
        async def ask(self, session: AsyncSession) -> None:
            await session.execute(text("SELECT i FROM generate_series(1, 5000) i WHERE random() < 0.5"))

    numbers = itertools.count()

    @dataclass(frozen=True)
    class Remembering(Scenario):
        @actor(names=("a", "b"))
        async def ask(self, session: AsyncSession) -> None:
            await session.execute(text(f"SELECT {next(numbers)}"))

    for scenario, said in (
        (Sampled(), r"in step 1, a: SELECT i FROM .* gave SELECT \d+ in the first run, a"),
        (Remembering(), "in step 1, a: SELECT 0 gave SELECT 1 in the first run, a: SELECT 2"),
    ):
        result = await Hunt.of(scenario, scheduler="random", executions=3).run(explorer)
        assert result.verdict == Verdict.INCONCLUSIVE
        assert re.search(said, result.reason), result.reason
    with pytest.raises(UncontrolledError, match="in step 1, a: SELECT 0"):
        await Lab(explorer).check(Remembering())


async def test_what_is_found_counts_although_no_schedule_can_be_repeated(explorer):
    """A violation happened on a real server, whatever else differs from run to run."""
    numbers = itertools.count()

    @dataclass(frozen=True)
    class Remembers(Scenario):
        @actor(names=("a", "b"))
        async def ask(self, session: AsyncSession) -> None:
            await session.execute(text(f"SELECT {next(numbers)}"))
            raise ZeroDivisionError

    result = await Hunt.of(Remembers(), scheduler="random", executions=3, refine=False).run(explorer)
    assert result.verdict == Verdict.FAIL


async def test_that_a_sleep_moved_only_one_of_two_clocks_is_said():
    """Where the server's clock is its own and read, by a statement or by a default, and an actor slept."""

    @dataclass(frozen=True)
    class Sleeping(Scenario):
        sleeps: bool = True
        reads: bool = True
        metadata = METADATA

        @actor(names=("a", "b"))
        async def work(self, session: AsyncSession) -> None:
            if self.sleeps:
                await asyncio.sleep(60)
            await session.execute(insert(ITEM).values(owner="x") if self.reads else text("SELECT 1"))
            await session.commit()

    with embedded_server(clock=False) as server:
        async with aclosing(Explorer(server)) as explorer:
            for sleeps, reads in ((True, True), (False, True), (True, False)):
                record = await explorer.run(Sleeping(sleeps=sleeps, reads=reads), make_scheduler("serial", 0))
                assert (CLOCKS_DIFFER in record.notes) == (sleeps and reads)


async def test_a_covered_key_does_not_hide_how_many_rows_there_are(explorer):
    """Rows are compared without the places that differ: one that is missing is a difference."""

    @dataclass(frozen=True)
    class Once(Scenario):
        metadata = METADATA

        @actor(names=("a", "b"))
        async def work(self, session: AsyncSession) -> None:
            if not await session.scalar(select(func.count()).select_from(ITEM)):
                await session.execute(insert(ITEM).values(owner="x"))
            await session.commit()

        @invariant
        async def at_most_two(self, session: AsyncSession) -> None:
            assert await session.scalar(select(func.count()).select_from(ITEM)) <= 2

    result = await hunted(explorer, Once())
    assert [failure.checker for failure in result.failures] == ["serial"]
    assert UNCONTROLLED not in result.failures[0].broken


def test_answers_from_outside_may_come_in_any_order():
    """Who is first is then nobody's to say; what two runs are compared by is what each actor did."""

    def run(*names: str, more: str = "") -> Seen:
        both = Go("a"), Go("b")
        steps = [
            Step(number, Go(name), both, Action(ActionKind.STATEMENT, f"SELECT '{name}{more}'"))
            for number, name in enumerate(names, 1)
        ]
        return Seen(Ending.COMPLETED, [Shown(step, ((),), ()) for step in steps], {}, {}, {}, {})

    assert difference(run("a", "b"), run("b", "a")) == ""
    assert difference(run("a", "b"), run("b", "a", more="!")).startswith("in step 1, a: SELECT 'a' in the first run")


async def test_what_only_an_interleaving_shows_is_learnt_from_the_same_schedule_again(explorer):
    """A statement that no serial run reaches draws from the server: its values are compared by nobody either."""

    class Looks(Bank):
        @actor
        async def alice(self, session: AsyncSession) -> None:
            await session.execute(add(1))
            await session.commit()
            await session.execute(add(1))
            await session.commit()

        @actor
        async def bob(self, session: AsyncSession) -> object:
            balance = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
            return await session.scalar(text("SELECT random()")) if balance == 101 else balance

    record = await explorer.run(Looks(), Order("alice alice bob"), checks=("serial",))
    assert record.outcome.results["bob"].text == UNCONTROLLED
    assert any("SELECT random()" in name for name in record.outcome.learnt)
    assert await replays(explorer, record, 5)
