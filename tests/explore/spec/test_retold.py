"""An execution told as a spec ends, run as PostgreSQL's runner does, as it ended in the lab: refusals and rows."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.servers import Foreign, foreign_server, programs_of
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lab import Scenario, actor
from lab.errors import UsageError
from lab.explore import Conditions, Explorer
from lab.explore.spec.exported import without_braces
from lab.explore.spec.reader import spec_of
from lab.explore.spec.retold import retold
from lab.explore.spec.stage import Stage, performed
from lab.model.replay_token import decode, scenario_of
from lab.postgres.server.server import Server
from lab.scenario.declare import planted_bug_of
from lab.scenario.registry import resolve
from lab.schedulers.replay import Replay
from lab.schedulers.serial import Serial

BINARY = Path("/usr/lib/postgresql/15/lib/pgxs/src/test/isolation/isolationtester")
PLANTED = (
    "constraints:NameCheckedByTheApplication",
    "coupon:CountsThenRedeems",
    "deadlock:AdvisoryLocksInOppositeOrder",
    "deadlock:CoreUpdatesInOppositeOrder",
    "deadlock:RetryOfTheLastStatement",
    "deadlock:ShareToExclusive",
    "last_admin:CountsAdminsWithoutLock",
    "optimistic:NoVersionCheck",
    "pessimistic:ReadsBeforeItLocks",
    "savepoint:CountedBeforeItIsKept",
    "transfer:LostUpdate",
)
FEW = ("deadlock:CoreUpdatesInOppositeOrder", "transfer:LostUpdate", "savepoint:CountedBeforeItIsKept")


async def told(server: Server, name: str) -> tuple[str, str]:
    cls = resolve(f"scenarios.{name}")
    planted = planted_bug_of(cls)
    assert planted is not None
    named = decode(planted.token)
    explorer = Explorer(server)
    try:
        conditions = Conditions(named.isolation or None)
        return await retold(explorer, server, scenario_of(named, cls), Replay(named.schedule), conditions)
    finally:
        await explorer.aclose()
        await dropped(server)


async def dropped(server: Server) -> None:
    """The embedded server keeps databases till it ends."""
    stage = await Stage.open(server)
    await stage._cluster.drop_database("isolation_regression")
    await stage.aclose()


@pytest.mark.parametrize("name", FEW)
async def test_a_planted_bug_ends_as_a_spec_as_it_does_in_the_lab(server, name):
    spec, difference = await told(server, name)
    assert difference == ""
    assert len(spec_of(spec, "told").listed) == 1


@pytest.fixture(scope="module")
def fifteen() -> Iterator[Foreign]:
    programs = programs_of(15)
    if programs is None or not BINARY.exists():
        pytest.skip("there is no isolationtester of PostgreSQL 15 here")
    with foreign_server(programs) as server:
        yield server


@pytest.mark.long
@pytest.mark.parametrize("name", PLANTED)
async def test_isolationtester_shows_the_same_outcome(server, fifteen, name):
    """What it prints is what the lab prints of the spec, which ended as the execution did."""
    spec, difference = await told(server, name)
    assert difference == ""
    fifteen.sql("DROP DATABASE IF EXISTS told", "CREATE DATABASE told TEMPLATE template0")
    env = {**os.environ, "PGAPPNAME": "isolation/told", "PGTZ": "PST8PDT", "PGDATESTYLE": "Postgres, MDY"}
    done = subprocess.run(  # noqa: ASYNC221 - nothing else is to run meanwhile
        [BINARY, f"host={fifteen.folder} user=owner dbname=told"],
        input=spec, capture_output=True, text=True, timeout=30, check=True, env=env,
    )  # fmt: skip
    stage = await Stage.open(server)
    try:
        assert (await performed(stage, spec_of(spec, "told"))).output == done.stdout
    finally:
        await stage.aclose()
        await dropped(server)


class Values(Scenario):
    """Values of many kinds, a column with a brace in its default, several rows at once, a savepoint."""

    async def schema(self, connection: AsyncConnection) -> None:
        await connection.execute(text("CREATE TYPE mood AS ENUM ('so', 'it''s')"))
        await connection.execute(text('CREATE TABLE "odd one" (x int)'))
        await connection.execute(
            text("""
            CREATE TABLE kept (id int, tags text[] DEFAULT '{"a\\\\b"}', data jsonb, at timestamptz, raw bytea,
                               mood mood, price numeric, took interval, note text DEFAULT '{}')
        """)
        )

    async def setup(self, session: AsyncSession) -> None:
        await session.execute(text("INSERT INTO kept (id, note) VALUES (1, E'};\\nINSERT \\\\ it''s')"))

    @actor
    async def writer(self, session: AsyncSession) -> None:
        values = {"tags": ["x", "}"], "at": dt.datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC)}
        values |= {"raw": b"\x00}", "took": dt.timedelta(hours=1), "note": "a\\b'c}", "price": None}
        sql = (
            "INSERT INTO kept (id, tags, at, raw, took, note, price) VALUES (2, :tags, :at, :raw, :took, :note, :price)"
        )
        await session.execute(text(sql), values)
        async with session.begin_nested():
            await session.execute(text("INSERT INTO kept (id, note) VALUES (:id, :note)"), [
                {"id": -3, "note": "one"}, {"id": 4, "note": "two"},
            ])  # fmt: skip
        await session.commit()
        await session.execute(text("DELETE FROM kept WHERE id = 4"))

    @actor
    async def reader(self, session: AsyncSession) -> None:
        await session.execute(text("SELECT count(*) FROM kept"))
        await session.commit()


class Paused(Scenario):
    """A statement of its own cursor."""

    @actor
    async def one(self, session: AsyncSession) -> None:
        result = await session.stream(text("SELECT generate_series(1, 200)"))
        await result.all()

    @actor
    async def other(self, session: AsyncSession) -> None:
        await session.execute(text("SELECT 1"))


async def test_values_of_every_kind_braces_savepoints_and_open_ends_are_written_down(server):
    """A block of a spec ends at its first closing brace, so there is none in it."""
    explorer = Explorer(server)
    try:
        spec, difference = await retold(explorer, server, Values(), Serial(), Conditions())
    finally:
        await explorer.aclose()
        await dropped(server)
    assert difference == ""
    assert '"odd one"' not in spec
    (writer,) = (each for each in spec_of(spec, "values").sessions if each.name == "writer")
    kinds = [step.sql.split()[0].rstrip(";") for step in writer.steps]
    assert kinds == ["INSERT", "SAVEPOINT", "DO", "RELEASE", "COMMIT", "BEGIN", "DELETE", "ROLLBACK"]


async def test_what_no_spec_can_say_is_refused_with_its_step(server):
    explorer = Explorer(server)
    try:
        with pytest.raises(UsageError, match="reads on from a cursor of the driver, which no spec can say"):
            await retold(explorer, server, Paused(), Serial(), Conditions())
    finally:
        await explorer.aclose()


@pytest.mark.parametrize(
    ("sql", "same"),
    [
        ("SELECT '{}'", r"SELECT E'{\x7D'"),
        (r"SELECT E'\n}'", r"SELECT E'\n\x7D'"),
        (r"SELECT 'a\}''b'", r"SELECT E'a\\\x7D''b'"),
        ("SELECT '{' AS \"it's\"", "SELECT '{' AS \"it's\""),
    ],
)
def test_a_brace_in_a_string_becomes_an_escape(sql, same):
    assert without_braces(sql) == same


@pytest.mark.parametrize("sql", ['SELECT 1 AS "}"', "DO $$ } $$"])
def test_a_brace_elsewhere_is_refused(sql):
    with pytest.raises(UsageError, match="holds a closing brace, with which a block of a spec ends"):
        without_braces(sql)
