"""A server given by URL: another's property, so the lab keeps to its own databases and says what it cannot do there."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from dataclasses import dataclass

import asyncpg
import pytest
from helpers.kit import Account, Bank, Order, add, lock, replays, told
from sqlalchemy import DDL, Column, ForeignKey, Integer, MetaData, Table, event, insert, text
from sqlalchemy.exc import DBAPIError

from lab import Scenario, actor
from lab.errors import ServerError, UsageError
from lab.explore import Explorer
from lab.explore.unsearched import ORDERS_OF_ROWS
from lab.model.history import Write
from lab.model.outcome import Ending
from lab.model.replay_token import decode
from lab.model.secret import Secret
from lab.postgres.server.cluster import COMMENT, PREFIX
from lab.postgres.server.server import external_server
from lab.report.hunts import hunt_lines
from lab.scenario.declare import planted_bug_of
from lab.schedulers.replay import Replay
from lab.schedulers.serial import Serial
from lab.search.job import Job
from lab.search.workers import perform
from scenarios.deadlock import PriceListsInOrderOfTheFile


def url(server, role: str = "postgres", database: str = "postgres") -> str:
    return f"postgresql://{role}@/{database}?host={server.folder / 's'}"


@pytest.fixture(scope="module")
async def admin(server, anyio_backend):
    connection = await asyncpg.connect(**server.connect)
    for statement in (
        "CREATE ROLE plain LOGIN",
        "CREATE ROLE maker LOGIN CREATEDB",
        "CREATE ROLE trusted LOGIN CREATEDB",
        "GRANT SET ON PARAMETER deadlock_timeout, log_lock_waits, log_min_messages, lc_messages TO trusted",
        "CREATE DATABASE another",
    ):
        await connection.execute(statement)
    yield connection
    await connection.close()


@pytest.fixture
async def guest(server, admin):
    """An explorer for a role that may make databases and nothing else."""
    explorer = Explorer(external_server(url(server, "maker")))
    yield explorer
    await explorer.aclose()


async def databases(admin) -> set[str]:
    """The lab's databases that came by URL: the embedded server's own explorers hold some, too."""
    rows = await admin.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", PREFIX)
    return {row[0] for row in rows}


class Two(Bank):
    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        await session.execute(add(1))
        await session.execute(add(2))
        await session.commit()


class Withdrawals(Bank):
    @actor(names=("alice", "bob"))
    async def withdraw(self, session) -> None:
        account = await session.get_one(Account, 1)
        account.balance -= 30
        await session.commit()


async def test_a_superuser_has_reports_pushed_but_cannot_freeze(server, admin):
    before = await databases(admin)
    explorer = Explorer(external_server(url(server)))
    cluster = await explorer.open()
    assert (cluster.abilities.pushed, cluster.abilities.frozen) == (True, False)
    record = await explorer.run(Two(), Order("alice bob alice alice bob"))
    assert told(record.trace)[1].endswith("(B)")
    assert record.trace.steps[4].woken
    assert await replays(explorer, record, times=5)
    assert len(await databases(admin) - before) == 1
    await explorer.aclose()
    assert await databases(admin) == before


async def test_granted_parameters_are_as_good_as_a_superuser(server, admin):
    explorer = Explorer(external_server(url(server, "trusted")))
    abilities = (await explorer.open()).abilities
    assert (abilities.superuser, abilities.pushed) == (False, True)
    record = await explorer.run(Two(), Order("alice bob alice alice bob"))
    assert record.trace.steps[1].wait.target == "row (0,1) of account"
    await explorer.aclose()


async def test_a_role_without_privileges_asks_who_waits(guest):
    assert not (await guest.open()).abilities.pushed
    record = await guest.run(Two(), Order("alice bob alice alice bob"))
    waited = record.trace.steps[1]
    assert waited.wait.holders == ("alice",)
    assert record.trace.steps[4].woken
    assert record.outcome.rows["account"][:2] == ("(1,102)", "(2,102)")
    assert await replays(guest, record, times=5)


async def test_without_reports_a_deadlock_is_still_a_deadlock_and_no_stall(guest):
    class Ring(Bank):
        @actor
        async def alice(self, session) -> None:
            await session.execute(lock(1))
            await session.execute(lock(2))

        @actor
        async def bob(self, session) -> None:
            await session.execute(lock(2))
            await session.execute(lock(1))

    record = await guest.run(Ring(), Order("alice bob alice bob"))
    assert record.outcome.ending is Ending.DEADLOCKED
    assert not record.stalls
    assert sum(result.sqlstate == "40P01" for result in record.outcome.results.values()) == 1
    assert len(record.deadlocks) == 1


async def test_waiters_that_cannot_be_frozen_are_still_woken_by_decision(server):
    class Queue(Bank):
        @actor(names=("alice", "bob", "carol"))
        async def work(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    explorer = Explorer(external_server(url(server)))
    record = await explorer.run(Queue(), Order("alice bob carol alice"))
    assert record.trace.steps[4].woken, "which of the two is first is PostgreSQL's choice where nobody is frozen"
    assert record.outcome.rows["account"][0] == "(1,103)"
    await explorer.aclose()


metadata = MetaData()
tree = Table(
    "tree", metadata, Column("id", Integer, primary_key=True), Column("up", ForeignKey("tree.id")), Column("n", Integer)
)
TRIGGER = """
CREATE FUNCTION raise_n() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := NEW.n + 1; RETURN NEW; END $$
"""
event.listen(metadata, "after_create", DDL(TRIGGER))
event.listen(
    metadata,
    "after_create",
    DDL("CREATE TRIGGER raise_n BEFORE INSERT ON tree FOR EACH ROW EXECUTE FUNCTION raise_n()"),
)


@dataclass(frozen=True)
class Tree(Scenario):
    metadata = metadata

    async def setup(self, session) -> None:
        await session.execute(insert(tree), [{"id": 1, "up": 2, "n": 0}, {"id": 2, "up": None, "n": 0}][::-1])

    @actor
    async def alice(self, session) -> None:
        await session.execute(text("UPDATE tree SET n = n + 10"))
        await session.commit()

    @actor
    async def bob(self) -> None: ...


async def test_a_role_without_privileges_has_histories_recorded_all_the_same(guest):
    """Triggers on tables of its own and messages to its own client need no privilege."""
    record = await guest.run(Withdrawals(), Order("alice bob bob bob alice alice"), recorded=True)
    assert record.anomalies == ("P4",)
    written = {
        each.actor: [op.text for op in each.operations if isinstance(op, Write)] for each in record.history.transactions
    }
    assert written == {"alice": ["70"], "bob": ["70"]}


async def test_without_privileges_restored_rows_still_fire_no_trigger(guest):
    for _ in range(3):
        record = await guest.run(Tree(), Order())
        assert record.outcome.rows["tree"] == ("(1,2,11)", "(2,,11)")


async def test_a_role_that_may_not_create_databases_is_told_so(server, admin):
    explorer = Explorer(external_server(url(server, "plain")))
    with pytest.raises(ServerError, match="may not create databases") as raised:
        await explorer.open()
    assert "ALTER ROLE" in str(raised.value)
    await explorer.aclose()


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("mysql://root@localhost/x", "this URL names mysql"),
        ("nonsense", "not a database URL"),
        ("", "not a database URL"),
        ("postgresql://u@localhost:port/x", "not a database URL"),
        ("postgresql://u@/x?host=/tmp&port=nine", "not a database URL"),
    ],
)
def test_a_url_that_cannot_be_a_server_is_wrong_use(bad, told):
    with pytest.raises(UsageError, match=told):
        external_server(bad)


@pytest.mark.parametrize("driver", ["postgresql", "postgresql+asyncpg", "postgresql+psycopg"])
def test_the_driver_in_a_url_does_not_matter(driver):
    server = external_server(f"{driver}://me:secret@db.example:5433/app")
    expected = {"host": "db.example", "port": 5433, "user": "me", "database": "app"}
    assert server.connect == {**expected, "password": Secret("secret")}
    assert "secret" not in server.description


async def test_an_unreachable_server_is_one_sentence(tmp_path):
    explorer = Explorer(external_server(f"postgresql://me:secret@/x?host={tmp_path}"))
    with pytest.raises(ServerError, match="cannot connect to") as raised:
        await explorer.run(Two(), Order())
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)
    await explorer.aclose()


async def test_a_wrong_parameter_in_a_url_is_one_sentence(server):
    explorer = Explorer(external_server(url(server) + "&application_name=me&no_such=1"))
    with pytest.raises(ServerError, match=r"cannot connect to .*no_such"):
        await explorer.open()


async def test_two_labs_on_one_server_leave_each_others_databases_alone(server, admin):
    """Also when they came in through different databases, between which advisory locks do not reach."""
    first = Explorer(external_server(url(server)))
    record = await first.run(Two(), Order())
    mine = await databases(admin)
    second = Explorer(external_server(url(server, database="another")))
    await second.run(Two(), Order())
    assert mine <= await databases(admin)
    again = await first.run(Two(), Order())
    assert again.same_as(record)
    await second.aclose()
    await first.aclose()


async def test_a_database_with_a_similar_name_is_never_touched(server, admin):
    await admin.execute(f"CREATE DATABASE {PREFIX}000000000000")
    await admin.execute(f"CREATE DATABASE other_{PREFIX}x")
    await admin.execute(f"COMMENT ON DATABASE other_{PREFIX}x IS '{COMMENT}'")
    explorer = Explorer(external_server(url(server)))
    await explorer.open()
    await explorer.aclose()
    names = {row[0] for row in await admin.fetch("SELECT datname FROM pg_database")}
    assert {f"{PREFIX}000000000000", f"other_{PREFIX}x"} <= names
    await admin.execute(f"DROP DATABASE {PREFIX}000000000000")
    await admin.execute(f"DROP DATABASE other_{PREFIX}x")


KILLED = """
import asyncio, os, signal, sys
sys.path[:0] = {path!r}
from helpers.kit import Order
from test_external import Two, external_server, Explorer
async def main():
    explorer = Explorer(external_server({url!r}))
    await explorer.run(Two(), Order())
    print((await explorer.open()).name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def killed_lab(server, admin, role: str = "postgres") -> None:
    script = KILLED.format(path=sys.path, url=url(server, role))
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = done.stdout.decode().strip()
    gone = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1"
    await admin.fetch(gone, left)  # the server learns of its death from the socket, a moment later


async def test_what_a_killed_lab_left_behind_is_dropped_by_the_next(server, admin):
    before = await databases(admin)
    await killed_lab(server, admin)
    assert len(await databases(admin) - before) == 1
    explorer = Explorer(external_server(url(server, database="another")))
    await explorer.open()
    assert await databases(admin) == before
    await explorer.aclose()


async def test_what_another_role_left_behind_is_no_obstacle(server, admin):
    before = await databases(admin)
    await killed_lab(server, admin)
    explorer = Explorer(external_server(url(server, "maker")))
    record = await explorer.run(Two(), Order())
    assert not record.failed
    await explorer.aclose()
    assert len(await databases(admin) - before) == 1, "not ours to drop"
    explorer = Explorer(external_server(url(server)))
    await explorer.open()
    await explorer.aclose()
    assert await databases(admin) == before


async def test_a_connection_of_the_labs_own_that_breaks_off_is_a_failing_server(server, monkeypatch):
    """SQLAlchemy wraps what asyncpg says of it; a user sees one sentence either way."""
    explorer = Explorer(server)
    cause = asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    async def breaks_off(*_: object) -> None:
        raise DBAPIError("SELECT 1", {}, cause, connection_invalidated=True)

    monkeypatch.setattr(explorer, "_perform", breaks_off)
    with pytest.raises(ServerError, match="failed: connection was closed in the middle of operation"):
        await explorer.run(Two(), Order())
    await explorer.aclose()


async def test_what_needs_a_pause_between_two_rows_is_said_to_be_unsearched(guest):
    job = Job("scenarios.deadlock:PriceListsInOrderOfTheFile", executions=200)
    result = (await perform(guest, job)).result
    assert result.verdict == "pass"
    assert result.exhausted
    assert not result.complete
    assert result.unsearched == [ORDERS_OF_ROWS]
    lines = list(hunt_lines(result, "portfolio"))
    assert f"not searched: {ORDERS_OF_ROWS}" in lines
    assert not [line for line in lines if "all" in line and "traces" in line]


async def test_a_hunt_without_such_statements_leaves_nothing_unsearched(guest):
    record = await guest.run(Withdrawals(), Serial())
    assert record.unsearched == ()


async def test_a_token_with_a_pause_is_refused_in_a_sentence(guest):
    token = planted_bug_of(PriceListsInOrderOfTheFile).token
    with pytest.raises(UsageError, match="pauses a statement between two rows needs the embedded server"):
        await guest.run(PriceListsInOrderOfTheFile(), Replay(decode(token).schedule))
