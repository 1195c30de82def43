"""Each test of which nothing is raced says why, in one line."""

import json
import os
import subprocess
import sys

SERVICE = """
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine("postgresql+asyncpg://shop@db.internal/shop")
other = create_async_engine("postgresql+psycopg://shop@db.internal/psycopg")
app = FastAPI()


@app.post("/add")
async def add(by: str = "asyncpg"):
    async with (engine if by == "asyncpg" else other).begin() as connection:
        await connection.execute(text("UPDATE counter SET n = n + 1"))
"""
TESTS = """
import asyncio
import pytest
from httpx import ASGITransport, AsyncClient
from lab import Scenario, actor, invariant
from sqlalchemy import select, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from service import app, engine, other


class Base(DeclarativeBase):
    pass


class Counter(Base):
    __tablename__ = "counted"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int]


pytestmark = pytest.mark.anyio
TABLE = text("CREATE TABLE counter (n int)")


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def client():
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client
    await engine.dispose()
    await other.dispose()


@pytest.fixture
def broken():
    raise RuntimeError("nothing is there")


async def test_of_psycopg(client):
    async with other.begin() as connection:
        await connection.execute(TABLE)
    assert (await client.post("/add?by=psycopg")).status_code == 200


async def test_with_two_transactions(client):
    async with engine.connect() as one, engine.connect() as two:
        await one.execute(TABLE)
        await two.execute(text("CREATE TABLE other (n int)"))
        client.headers["x-lab"] = "yes"
        with pytest.raises(Exception):
            await client.post("/add")


async def test_that_fails(client):
    assert (await client.get("/")).status_code == 200


@pytest.mark.skip
async def test_that_is_skipped(client):
    pass


async def test_that_skips_itself(client):
    pytest.skip("no")


class Counts(Scenario):
    metadata = Base.metadata

    async def setup(self, session):
        session.add(Counter(id=1, n=0))

    @actor(names=("ann", "ben"))
    async def counts(self, session):
        await session.execute(update(Counter).values(n=Counter.n + 1))
        await session.commit()

    @invariant
    async def both_count(self, session):
        assert await session.scalar(select(Counter.n)) == 2


async def test_with_the_lab(lab):
    await lab.hunt(Counts())


async def test_of_fixtures_that_fail(broken):
    pass


def test_that_asks_nothing():
    pass


@pytest.mark.parametrize("number", range(6))
def test_many(number):
    pass
"""


def test_each_test_that_cannot_be_used_says_why(tmp_path):
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "test_it.py").write_text(TESTS)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "LAB_"))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rp",
        "-p",
        "no:cacheprovider",
        "--lab-races",
        "--lab-races-json=races.json",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    data = json.loads((tmp_path / "races.json").read_text())
    troubles = {each["test"].partition("::")[2]: each["trouble"] for each in data["tests"]}
    assert "PASSED test_it.py::test_with_the_lab\n" in done.stdout
    asked_nothing = "it sent no request and called no action"
    assert {name: why for name, why in troubles.items() if not name.startswith("test_many")} == {
        "test_of_psycopg": "",
        "test_with_two_transactions": "several transactions of the test were open when it was sent; commit them before",
        "test_that_fails": "it failed, so nothing of it is raced",
        "test_that_is_skipped": "it was skipped",
        "test_that_skips_itself": "it was skipped",
        "test_with_the_lab": "it races by itself, with the fixture `lab`",
        "test_of_fixtures_that_fail": "its fixtures failed",
        "test_that_asks_nothing": asked_nothing,
    }
    (tried,) = [each for each in data["pairs"] if each["test"].endswith("test_of_psycopg")]
    assert tried["standing"] == "not tried"
    assert "whose driver psycopg the lab cannot lead to its own database" in tried["limits"]
    listed = done.stdout.partition("Tests that could not be used:\n")[2].splitlines()
    assert "  test_it.py::test_that_is_skipped: it was skipped" in listed
    assert f"  7 tests (-v names them): {asked_nothing}" in listed
