"""What a role, a database or a URL sets for its sessions, and what the environment says, does not harm the lab's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest
from helpers.kit import Account, Bank, Order
from helpers.lab_program import environment, lab
from helpers.servers import Foreign, foreign_server, programs_of
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from lab import actor
from lab.errors import ServerError
from lab.explore import Explorer
from lab.postgres.server.cluster import PREFIX, Cluster
from lab.postgres.server.monitor import connect
from lab.postgres.server.server import external_server

VERSION = 15 if programs_of(15) else 16
ROLES = {
    "brief": "SET idle_session_timeout = '100ms'",
    "reader": "SET default_transaction_read_only = on",
    "lost": "SET search_path = 'nowhere'",
    "pathless": "SET search_path = ''",
    "hasty": "SET statement_timeout = '1ms'",
    "waiter": "SET lock_timeout = '1ms'",
    "idler": "SET idle_in_transaction_session_timeout = '1ms'",
}
ODD_ENVIRONMENT = [
    {"PGPORT": "5433"},
    {"PGPORT": "0"},
    {"PGPORT": "abc"},
    {"PGPORT": "1,2"},
    {"PGTARGETSESSIONATTRS": "standby"},
    {"PGSSLMODE": ""},
    {"PGSSLMODE": "nonsense"},
    {"PGSSLMODE": "require", "PGSSLCERT": "/nope"},
    {"PGSSLNEGOTIATION": "direct"},
    {"PGGSSLIB": "odd", "PGKRBSRVNAME": "odd"},
    {"PGPASSFILE": "/etc"},
    {"PGHOST": "nowhere.invalid", "PGUSER": "nobody", "PGDATABASE": "none", "PGPASSWORD": "x"},
    {"PGSERVICE": "none", "PGSERVICEFILE": "/etc", "PGOPTIONS": "-c x=y", "PGAPPNAME": "x"},
]


@pytest.fixture(scope="module")
def foreign() -> Iterator[Foreign]:
    with foreign_server(programs_of(VERSION)) as server:
        server.sql(
            *(f"CREATE ROLE {name} LOGIN CREATEDB" for name in ("maker", *ROLES)),
            *(f"ALTER ROLE {name} {setting}" for name, setting in ROLES.items()),
            "CREATE ROLE apart LOGIN CREATEDB NOINHERIT",
        )
        yield server


class Paused(Bank):
    """Its actors are idle for longer than the roles allow."""

    async def setup(self, session) -> None:
        await session.execute(text("SELECT pg_sleep(0.002)"))
        session.add(Account(id=1, balance=0))

    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        await session.get_one(Account, 1)
        await session.commit()


def left(foreign: Foreign) -> str:
    return foreign.sql(f"SELECT datname FROM pg_database WHERE starts_with(datname, '{PREFIX}')")


@pytest.mark.parametrize("role", [role for role in ROLES if role != "hasty"])
async def test_settings_of_a_role_neither_hinder_an_execution_nor_leave_databases(foreign, role):
    explorer = Explorer(external_server(foreign.url(role)))
    record = await explorer.run(Paused(), Order("alice bob alice bob"))
    await asyncio.sleep(0.15 if role == "brief" else 0)
    again = await explorer.run(Paused(), Order("alice bob alice bob"))
    await explorer.aclose()
    assert not record.failed
    assert not again.failed
    assert left(foreign) == ""


@pytest.mark.parametrize(
    "setting", ["default_transaction_read_only=on", "search_path=zzz", "lock_timeout=1", "idle_session_timeout=100"]
)
async def test_settings_of_a_url_are_not_those_of_the_lab(foreign, setting):
    name, _, value = setting.partition("=")
    explorer = Explorer(external_server(foreign.url("maker", **{name: value})))
    assert not (await explorer.run(Paused(), Order("alice bob alice bob"))).failed
    await explorer.aclose()
    assert left(foreign) == ""


async def test_a_statement_timeout_of_a_role_is_that_of_actors_only(foreign):
    """The setup sleeps longer than it allows, and is not ended."""

    class Shown(Paused):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            shown.append(await session.scalar(text("SHOW statement_timeout")))

    shown: list[str] = []
    explorer = Explorer(external_server(foreign.url("hasty")))
    await explorer.run(Shown(), Order("alice bob"))
    await explorer.aclose()
    assert set(shown) == {"1ms"}


@pytest.mark.skipif(VERSION != 15, reason="Debian's PostgreSQL 15 is not installed here")
@pytest.mark.parametrize("line", [["doctor"], ["hunt", "Counted"]])
def test_a_role_that_inherits_nothing_is_refused_where_it_could_make_no_tables(foreign, line):
    done = lab(*line, env=environment(LAB_URL=foreign.url("apart")))
    assert done.returncode == 3
    assert "may make no tables in the schema public of a database of its own: ALTER ROLE … INHERIT" in " ".join(
        (done.stdout + done.stderr).split()
    )


async def test_the_doctor_shows_the_whole_url_that_the_server_is_known_by(foreign):
    """The same sentence as that of a hunt, with the stars for a password."""
    url = "postgresql://u:hunter2@127.0.0.1:1/d"
    with pytest.raises(ServerError) as raised:
        await Cluster.open(external_server(url))
    done = lab("doctor", env=environment(LAB_URL=url))
    assert done.stderr.strip() == f"lab: {raised.value}"
    assert "postgresql://u:***@127.0.0.1:1/d: " in " ".join((done.stdout + done.stderr).split())


async def test_a_database_that_cannot_be_dropped_is_said(foreign, capsys):
    explorer = Explorer(external_server(foreign.url("maker")))
    await explorer.run(Paused(), Order("alice bob"))
    foreign.sql(
        "ALTER ROLE maker NOLOGIN",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'maker' AND datname = 'postgres'",
    )
    await asyncio.sleep(0.05)
    await explorer.aclose()
    foreign.sql("ALTER ROLE maker LOGIN")
    said = capsys.readouterr().err
    assert said.startswith(f"lab: could not drop {PREFIX}")
    assert "not permitted to log in" in said
    assert said.count("\n") == 1
    await (await Explorer(external_server(foreign.url("maker"))).open()).close()
    assert left(foreign) == ""


async def test_a_session_of_the_labs_own_that_was_ended_does_not_keep_databases_from_being_dropped(foreign):
    explorer = Explorer(external_server(foreign.url("maker")))
    await explorer.run(Paused(), Order("alice bob"))
    foreign.sql(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'maker' AND datname = 'postgres'"
    )
    await asyncio.sleep(0.05)
    await explorer.aclose()
    assert left(foreign) == ""


@pytest.mark.parametrize("variables", ODD_ENVIRONMENT, ids=" ".join)
@pytest.mark.filterwarnings("error::UserWarning")
async def test_the_embedded_server_ignores_the_environment_of_clients(server, monkeypatch, variables):
    """The lab's own connections, those of actors, and those that lead there: an engine's, and asyncpg's."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    engine = create_async_engine("postgresql+asyncpg://app@db.invalid:1/shop")

    class Led(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            await session.get_one(Account, 1)
            async with engine.connect() as connection:
                await connection.scalar(text("SELECT 1"))
            driver = await asyncpg.connect("postgresql://app@db.invalid:1/shop")
            await driver.close()

    await (await connect(server, server_settings={})).close()
    explorer = Explorer(server)
    record = await explorer.run(Led(), Order("alice bob"))
    await explorer.aclose()
    assert not record.failed


@pytest.mark.parametrize("variables", [each for each in ODD_ENVIRONMENT[1:9] if "PGTARGETSESSIONATTRS" not in each])
async def test_for_a_server_given_by_url_nonsense_in_the_environment_is_one_sentence(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ServerError, match="cannot connect to") as raised:
        await Cluster.open(external_server("postgresql://u@127.0.0.1/d"))
    assert "\n" not in str(raised.value)
