"""Tests ask their application in several ways, and the same race is found in each, also with one session for all."""

import json
import os
import subprocess
import sys
import time

import pytest
from helpers.environments import Environment

from lab.engine.clock import Clock
from lab.search.races.pairs import TIMES

APP = """
import contextlib
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    stock: Mapped[int]


engine = create_async_engine("postgresql+asyncpg://shop:secret@db.internal/shop")
Session = async_sessionmaker(engine, expire_on_commit=False)


@contextlib.asynccontextmanager
async def lifespan(app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


async def get_session():
    async with Session() as session:
        yield session


app = FastAPI(lifespan=lifespan)


@app.post("/items")
async def add(stock: int, session: AsyncSession = Depends(get_session)):
    item = Item(stock=stock)
    session.add(item)
    await session.commit()
    return {"id": item.id}


@app.post("/items/{item_id}/orders")
async def order(item_id: int, session: AsyncSession = Depends(get_session)):
    item = await session.get_one(Item, item_id)
    if not item.stock:
        raise HTTPException(409)
    item.stock -= 1
    await session.commit()
    return {"left": item.stock}
"""
TEST_CLIENT = """
from fastapi.testclient import TestClient
from service import app


def test_orders():
    with TestClient(app) as client:
        item = client.post("/items", params={"stock": 2}).json()["id"]
        assert client.post(f"/items/{item}/orders").json() == {"left": 1}
"""
JOINED = '''
import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from service import Base, Item, app, get_session


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def session():
    """A session that is joined into an external transaction, which is rolled back."""
    engine = create_async_engine("postgresql+asyncpg://test@localhost/test")
    async with engine.connect() as connection:
        transaction = await connection.begin()
        await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(
            connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        ) as session:
            app.dependency_overrides[get_session] = lambda: session
            yield session
            app.dependency_overrides.clear()
        await transaction.rollback()
    await engine.dispose()


MARK
async def test_orders(session):
    session.add(Item(id=7, stock=2))
    await session.commit()
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        assert (await client.post("/items/7/orders")).json() == {"left": 1}
'''
CALLED = """
import asyncpg
import pytest
from httpx import ASGITransport, AsyncClient
from service import app


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_orders(anyio_backend):
    async with app.router.lifespan_context(app):
        async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
            item = (await client.post("/items", params={"stock": 2})).json()["id"]
            assert (await client.post(f"/items/{item}/orders")).json() == {"left": 1}
"""
POOL = """
    app.state.pool = await asyncpg.create_pool("postgresql://shop@db.internal/shop", min_size=1)
    yield
    await app.state.pool.close()
"""


def raced(folder, *more, python=sys.executable):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "LAB_"))}
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", "--lab-races", "--lab-races-json=races.json"]
    done = subprocess.run([*command, *more], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done, json.loads((folder / "races.json").read_text())


@pytest.fixture(scope="module")
def asyncio_plugin(tmp_path_factory):
    return Environment(tmp_path_factory.mktemp("asyncio"), "pytest-asyncio")


@pytest.mark.parametrize("test", [TEST_CLIENT, JOINED.replace("MARK", "@pytest.mark.anyio")], ids=["thread", "joined"])
def test_a_lost_update_is_found(tmp_path, test):
    finds_it(tmp_path, test, sys.executable)


@pytest.mark.parametrize("mode", ["strict", pytest.param("auto", marks=pytest.mark.long)])
def test_a_lost_update_is_found_in_tests_of_pytest_asyncio(tmp_path, asyncio_plugin, mode):
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nasyncio_mode = {mode}\n")
    test = JOINED.replace("MARK", "@pytest.mark.asyncio" if mode == "strict" else "")
    if mode == "strict":
        test = test.replace("@pytest.fixture\nasync def", "@pytest_asyncio.fixture\nasync def")
        test = f"import pytest_asyncio\n{test}"
    finds_it(tmp_path, test, asyncio_plugin.python)


def finds_it(tmp_path, test, python):
    (tmp_path / "service.py").write_text(APP)
    (tmp_path / "test_orders.py").write_text(test)
    done, data = raced(tmp_path, python=python)
    assert "1 passed" in done.stdout, done.stdout
    ((race),) = data["races"]
    assert (race["anomaly"], race["cause"]) == ("P4", "read-modify-write"), done.stdout
    assert race["line"].startswith("service.py:")
    assert done.returncode == 1


def test_an_application_whose_lifespan_the_test_called_itself_is_started_again(tmp_path):
    """What it opened then is closed when its requests are raced; nobody saw who started it."""
    pooled = APP.replace("\n    yield\n    await engine", f"{POOL}    await engine").replace(
        "import contextlib", "import asyncpg, contextlib"
    )
    asked = "    item = await session.get_one(Item, item_id)\n"
    (tmp_path / "service.py").write_text(pooled.replace(asked, f'{asked}    await app.state.pool.fetch("SELECT 1")\n'))
    (tmp_path / "test_orders.py").write_text(CALLED)
    done, data = raced(tmp_path, "--lab-races-write=written")
    assert not [each for each in data["pairs"] if each["standing"] == "not tried"], done.stdout
    ((race),) = data["races"]
    assert (race["anomaly"], race["cause"]) == ("P4", "read-modify-write"), done.stdout
    (written,) = (tmp_path / "written").glob("*.py")
    assert "lifespan='execution'" in written.read_text()


SPENDING = '''
import contextlib
import asyncpg
from fastapi import FastAPI

SCHEMA = """
CREATE TABLE credit (amount int);
INSERT INTO credit VALUES (10);
CREATE FUNCTION spend() RETURNS int LANGUAGE plpgsql AS $$
DECLARE have int;
BEGIN
  SELECT amount INTO have FROM credit;
  UPDATE credit SET amount = have - 1;
  RETURN have;
END $$;
"""


async def connect():
    return contextlib.aclosing(Connection(await asyncpg.connect("postgresql://shop@db.internal/shop")))


class Connection:
    def __init__(self, real):
        self.real, self.aclose = real, real.close


app = FastAPI()


@app.post("/spend")
async def spend():
    async with await connect() as connection:
        return await connection.real.fetchval("SELECT spend()")


@app.post("/careful")
async def careful():
    async with await connect() as connection, connection.real.transaction():
        return await connection.real.fetchval("SELECT spend()")
'''
SPENT = """
import pytest
from httpx import ASGITransport, AsyncClient
from service import SCHEMA, app, connect


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_spend(anyio_backend):
    async with await connect() as connection:
        await connection.real.execute(SCHEMA)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        assert (await client.post("/spend")).json() == 10
        assert (await client.post("/careful")).json() == 9
"""


def test_nothing_is_called_safe_where_statements_of_a_function_lose_an_update_in_one_step(tmp_path):
    """Where the function is called in a transaction, its end is a step of its own: the race is found."""
    (tmp_path / "service.py").write_text(SPENDING)
    (tmp_path / "test_spend.py").write_text(SPENT)
    done, data = raced(tmp_path)
    standing = {each["title"]: each["standing"] for each in data["pairs"]}
    assert standing[f"POST /careful {TIMES} itself"] == "racy", done.stdout
    assert standing[f"POST /spend {TIMES} itself"] == "inconclusive", done.stdout


def test_the_line_of_a_race_is_the_applications_own_where_a_library_sends_the_statements(tmp_path):
    """Of a commit in a background task no line of the application is on the stack, but that of who asked it is."""
    order = "async def order(item_id: int, session: AsyncSession = Depends(get_session)"
    behind = APP.replace(order, f"async def order(tasks: BackgroundTasks, {order.partition('(')[2]}")
    behind = behind.replace("import Depends", "import BackgroundTasks, Depends")
    behind = behind.replace("    item.stock -= 1\n    await session.commit()", "    item.stock -= 1\n    TASK")
    (tmp_path / "service.py").write_text(behind.replace("TASK", "tasks.add_task(session.commit)"))
    (tmp_path / "test_orders.py").write_text(TEST_CLIENT)
    done, data = raced(tmp_path)
    assert data["races"], done.stdout
    assert all(each["line"].startswith("service.py:") for each in data["races"]), done.stdout
    steps = data["races"][0]["failure"]["story"]["steps"]
    assert {step["at"]["file"] for step in steps if step["at"]} == {"service.py"}


def test_requests_of_a_test_that_fails_are_not_raced_and_it_says_so(tmp_path):
    (tmp_path / "service.py").write_text(APP)
    (tmp_path / "test_orders.py").write_text(TEST_CLIENT.replace('{"left": 1}', '{"left": 5}'))
    done, data = raced(tmp_path)
    assert [each["trouble"] for each in data["tests"]] == ["it failed, so nothing of it is raced"]
    assert "test_orders.py::test_orders: it failed" in done.stdout


def test_an_answer_that_differs_when_it_is_sent_again_makes_no_verdict(tmp_path):
    """A rate limit is state of the process: each race after it would compare refusals with refusals."""
    limited = (
        APP
        + """
asked = 0


@app.middleware("http")
async def limit(request, go_on):
    global asked
    asked += 1
    from fastapi.responses import Response
    return await go_on(request) if asked <= 5 else Response(status_code=429)
"""
    )
    (tmp_path / "service.py").write_text(limited)
    (tmp_path / "test_orders.py").write_text(TEST_CLIENT)
    done, data = raced(tmp_path)
    assert not [each for each in data["pairs"] if each["standing"] == "safe"], done.stdout
    assert "answers 429, and 200 when it was recorded" in done.stdout


def test_what_tests_stored_is_past_in_each_execution():
    """Else a time in a recorded row could be taken for one that an actor stored, now and then."""
    before = time.time_ns() // 1000
    assert Clock(later=1).time.began > before
