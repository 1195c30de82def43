"""A PostgreSQL driver that the lab cannot lead is refused where an actor calls it by itself, unless it is meant."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.kit import Bank, Order, add
from sqlalchemy import create_engine, text

from lab import actor
from lab.errors import ScenarioError

pg8000 = pytest.importorskip("pg8000.dbapi")
native = pytest.importorskip("pg8000.native")
psycopg = pytest.importorskip("psycopg")
psycopg2 = pytest.importorskip("psycopg2")
URL = "postgresql://me:secret@nowhere.invalid:5433/shop"
PARTS = {"host": "nowhere.invalid", "port": 5433, "user": "me", "password": "secret", "database": "shop"}
HERE = "/nowhere/.s.PGSQL.5432"


def calling(what, *args, outside=(), **named):
    """A scenario whose actors call something, wait for it if need be, and pass over a refusal as careless code does."""

    class Calls(Bank):
        @actor(names=("alice", "bob"))
        async def call(self) -> str:
            with contextlib.suppress(ScenarioError):
                try:
                    if inspect.isawaitable(found := what(*args, **named)):
                        await found
                except ScenarioError:
                    raise
                except Exception as error:  # noqa: BLE001 - what the driver says of a server that is not there
                    return type(error).__name__
            return "nothing"

    Calls.outside = outside
    return Calls()


async def _in_executor(function, *args):
    await asyncio.get_running_loop().run_in_executor(None, function, *args)


WAYS = [
    ("psycopg", psycopg.connect, (URL,), {}),
    ("psycopg", psycopg.AsyncConnection.connect, (URL,), {}),
    ("psycopg2", psycopg2.connect, (URL,), {}),
    ("psycopg2", psycopg2.connect, (), PARTS),
    ("pg8000", pg8000.connect, (), PARTS),
    ("pg8000", native.Connection, (), PARTS),
    ("psycopg", asyncio.to_thread, (psycopg.connect, URL), {}),
    ("psycopg2", _in_executor, (psycopg2.connect, URL), {}),
]


@pytest.mark.parametrize(("driver", "way", "args", "named"), WAYS)
async def test_a_call_of_another_driver_is_refused_with_its_place(driver, way, args, named, explorer):
    """Also by a name that was imported long ago, in a thread, and where the actor passes over the error."""
    sentence = rf'alice opens postgresql://me@nowhere.invalid:5433/shop with {driver}, .* outside = \("{driver}",\)'
    with pytest.raises(ScenarioError, match=sentence) as refused:
        await explorer.run(calling(way, *args, **named), Order())
    assert "secret" not in str(refused.value)


def _in_thread(function, *args) -> None:
    def run() -> None:
        with contextlib.suppress(ScenarioError):
            function(*args)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def _in_pool(function, *args) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(function, *args).result()


@pytest.mark.parametrize("way", [_in_thread, _in_pool])
async def test_a_thread_that_an_actor_starts_is_its_own(way, explorer):
    """Though Python gives such a thread nothing of its starter's context."""
    with pytest.raises(ScenarioError, match=r"alice opens postgresql://me@nowhere.invalid:5433/"):
        await explorer.run(calling(way, psycopg2.connect, URL), Order())


@pytest.mark.parametrize("outside", ["psycopg2", "postgresql", "/nowhere"])
async def test_it_may_be_meant(outside, explorer):
    """By its name, as any PostgreSQL, or by the host."""
    meant = calling(psycopg2.connect, host="/nowhere", dbname="shop", outside=(outside,))
    record = await explorer.run(meant, Order())
    assert record.outcome.results["alice"].value == "OperationalError"


@pytest.mark.parametrize("outside", ["pg8000", HERE])
async def test_a_driver_in_pure_python_that_is_meant_reaches_its_socket(outside, explorer):
    record = await explorer.run(calling(native.Connection, "me", unix_sock=HERE, outside=(outside,)), Order())
    assert record.outcome.results["alice"].value == "InterfaceError"


async def test_a_driver_that_an_actor_loads_is_refused_at_its_first_call(explorer, monkeypatch):
    for name in [each for each in sys.modules if each.partition(".")[0] == "pg8000"]:
        monkeypatch.delitem(sys.modules, name)

    def loads():
        from pg8000.native import Connection  # noqa: PLC0415 - the point of the test

        Connection("me", host="nowhere.invalid", database="shop")

    with pytest.raises(ScenarioError, match=r"alice opens postgresql://me@nowhere.invalid:5432/shop with pg8000"):
        await explorer.run(calling(loads), Order())
    assert sys.modules["pg8000.core"].__loader__ is sys.modules["pg8000.core"].__spec__.loader
    assert type(sys.modules["pg8000.core"].__loader__).__name__ == "SourceFileLoader"


def _plain(address) -> None:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as own:
        own.settimeout(1)
        own.connect(address)


@pytest.mark.parametrize(
    ("way", "args", "place"),
    [
        (_plain, (("127.0.0.1", 5432),), "127.0.0.1:5432"),
        (_plain, (HERE,), HERE),
        (asyncio.open_connection, ("127.0.0.1", 5432), "127.0.0.1:5432"),
        (asyncio.open_unix_connection, (HERE,), HERE),
    ],
)
async def test_a_driver_that_nobody_knows_is_met_at_its_socket(way, args, place, explorer):
    with pytest.raises(ScenarioError, match=rf"alice opens a socket to PostgreSQL at {place}, .* outside = "):
        await explorer.run(calling(way, *args), Order())


@pytest.mark.parametrize(("way", "args"), [(_plain, (("127.0.0.1", 1),)), (asyncio.open_connection, ("127.0.0.1", 1))])
async def test_a_socket_to_something_else_is_not(way, args, explorer):
    """Nothing listens at port 1 of this machine: that is what the actor meets, and no refusal."""
    record = await explorer.run(calling(way, *args), Order())
    assert record.outcome.results["alice"].value == "ConnectionRefusedError"


async def test_a_text_of_parameters_opens_nothing(explorer):
    record = await explorer.run(calling(psycopg2.extensions.make_dsn, URL), Order())
    assert record.outcome.results["alice"].value == "nothing"


async def test_asyncpg_cancels_a_statement_over_a_socket_of_its_own(explorer):
    """Which leads to the lab's server, so it is not met."""

    class Cancelled(Bank):
        faults = ("cancel",)

        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    record = await explorer.run(Cancelled(), Order("alice bob cancel@bob"))
    assert record.trace.steps[1].wait is not None
    assert not record.failed


async def test_what_is_no_actor_s_is_left_alone(explorer):
    async def meanwhile() -> str:
        try:
            psycopg2.connect(host="/nowhere")
        except psycopg2.OperationalError:
            return "tried"

    class Fills(Bank):
        async def setup(self, session) -> None:
            psycopg2.connect(URL)

        @actor(names=("alice", "bob"))
        async def work(self) -> None: ...

    with pytest.raises(ScenarioError, match=r"the setup of .*Fills opens postgresql://me@nowhere.invalid:5433/shop"):
        await explorer.run(Fills(), Order())
    assert await meanwhile() == "tried"
    assert "connect" not in vars(socket.socket)


async def test_an_engine_that_is_meant_may_be_used_in_a_thread(explorer, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/cache")

    def look() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    record = await explorer.run(calling(asyncio.to_thread, look, outside=("sqlite",)), Order())
    assert record.outcome.results["alice"].value == "nothing"
    engine.dispose()
