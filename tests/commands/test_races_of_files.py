"""`lab races`: requests of a file are raced as those of tests are, from tables and rows that somebody names."""

import json
import os
import signal
import subprocess

import asyncpg
import pytest
from helpers.lab_program import PROGRAM, SECONDS, environment, lab, lab_each, lab_started

SERVICE = """
import asyncio

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


async def get_session():
    async with Session() as session:
        yield session


def create_app():
    app = FastAPI()

    @app.post("/items", status_code=201)
    async def add(stock: int, session: AsyncSession = Depends(get_session)):
        item = Item(stock=stock)
        session.add(item)
        await session.commit()
        return {"id": item.id}

    @app.post("/items/{item_id}/orders")
    async def order(item_id: int, session: AsyncSession = Depends(get_session)):
        item = await session.get(Item, item_id)
        if item is None:
            raise HTTPException(404)
        item.stock -= 1
        await session.commit()
        return {"left": item.stock}

    @app.get("/items/{item_id}")
    async def show(item_id: int, session: AsyncSession = Depends(get_session)):
        return {"stock": (await session.get_one(Item, item_id)).stock}

    @app.get("/nothing")
    async def nothing():
        return {}

    return app


app = create_app()


async def fill():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with Session.begin() as session:
        session.add(Item(id=1, stock=3))


def fill_now():
    asyncio.run(fill())


def broken():
    raise RuntimeError("no migrations today")


async def wants(connection):
    pass
"""
ORDER = {"method": "POST", "path": "/items/1/orders", "status": 200}
LINE = SERVICE[: SERVICE.index("        item.stock -= 1")].count("\n") + 2
"""Of the UPDATE, in which the lost update shows: the commit."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "order.jsonl").write_text(json.dumps(ORDER))
    return tmp_path


def races(folder, *more, app="service:app", file="order.jsonl", **options):
    return lab("races", app, "--requests", file, *more, cwd=folder, **options)


def har(requests):
    entries = [
        {
            "request": {"method": each["method"], "url": f"https://shop.example{each['path']}", "headers": []},
            "response": {"status": each["status"], "content": {"mimeType": "application/json"}},
        }
        for each in requests
    ]
    return {"log": {"entries": entries}}


def openapi(path, example):
    parameter = {"name": "item_id", "in": "path", "required": True, "example": example}
    other = {"name": "stock", "in": "query", "required": True, "schema": {"type": "integer"}}
    operations = {path: {"post": {"parameters": [parameter]}}, "/items": {"post": {"parameters": [other]}}}
    return {"openapi": "3.0.3", "info": {}, "paths": operations}


def test_a_lost_update_is_found_with_cause_and_line(folder):
    done = races(folder, "--before", "service:fill")
    assert f"\nRace 1  P4: read-modify-write  service.py:{LINE}\n" in done.stdout
    assert "1 file sent 1 request; 1 race in 1 pair\n" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


def test_a_har_and_an_openapi_document_show_the_same_race(folder):
    (folder / "shop.har").write_text(json.dumps(har([ORDER, {**ORDER, "method": "OPTIONS"}])))
    (folder / "openapi.json").write_text(json.dumps(openapi("/items/{item_id}/orders", 1)))
    done = races(folder, "--before", "service:fill_now", file="shop.har")
    assert f"Race 1  P4: read-modify-write  service.py:{LINE}\n" in done.stdout
    assert done.stderr == "left out: 1 OPTIONS\n"
    done = races(folder, "--before", "service:fill", "--json", file="openapi.json")
    data = json.loads(done.stdout)
    assert [each["line"] for each in data["races"]] == [f"service.py:{LINE}"]
    assert done.stderr == "POST /items is not used: its parameter stock has no example\n"
    assert data["notes"] == ["POST /items is not used: its parameter stock has no example"]


def test_without_more_the_tables_of_the_metadata_are_there_and_ids_are_those_of_the_new_answers(folder):
    """The recording made item 7; here it is item 1, which is ordered."""
    made = {"method": "POST", "path": "/items?stock=2", "response": {"status": 201, "json": {"id": 7}}}
    lines = [made, {"method": "POST", "path": "/items/7/orders", "status": 200}]
    (folder / "order.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = races(folder, "--json", app="service:create_app", file="order.jsonl")
    data = json.loads(done.stdout)
    assert [each["requests"] for each in data["races"][0]["pairs"]] == [["POST /items/1/orders"] * 2], done
    assert {each["standing"] for each in data["pairs"]} == {"racy", "safe"}
    assert (done.returncode, done.stderr) == (1, "")


def test_a_written_scenario_has_the_application_of_a_factory(folder):
    done = races(folder, "--before", "service:fill", "--write", "found", app="service:create_app")
    target = done.stdout.splitlines()[-1].rpartition("lab hunt ")[2]
    text = (folder / "found" / "race_orders_other_orders.py").read_text()
    assert "from service import create_app as application\n" in text
    assert "app = lab.http(application(), lifespan='execution')\n" in text
    assert "Found by lab races: P4: read-modify-write" in text
    hunt = lab("hunt", target, "--no-remedies", "--no-fresh", cwd=folder)
    assert "LOST UPDATE" in hunt.stdout, hunt
    assert hunt.returncode == 1


async def test_rows_are_copied_from_a_database_that_stays_as_it_is(folder, server):
    url = f"postgresql://{server.connect['user']}@/postgres?host={server.connect['host']}"
    connection = await asyncpg.connect(**{**server.connect, "database": "postgres"})
    await connection.execute("DROP TABLE IF EXISTS item; CREATE TABLE item (id serial PRIMARY KEY, stock int NOT NULL)")
    await connection.execute("INSERT INTO item VALUES (1, 5)")
    try:
        done = races(folder, "--rows-from", url)
        assert f"Race 1  P4: read-modify-write  service.py:{LINE}\n" in done.stdout, done
        assert '"left": 4' in done.stdout
        assert await connection.fetchval("SELECT stock FROM item") == 5
        await connection.execute("CREATE TABLE part (day date) PARTITION BY RANGE (day)")
        done = races(folder, "--rows-from", url)
        assert (
            "the database has the partitioned table part, which the lab cannot copy yet; make the tables with"
            in done.stderr
        )
        assert (done.returncode, done.stdout) == (2, "")
    finally:
        await connection.execute("DROP TABLE item; DROP TABLE IF EXISTS part")
        await connection.close()


def test_an_answer_that_is_not_that_of_the_file_is_named(folder):
    (folder / "order.jsonl").write_text(json.dumps({**ORDER, "status": 201}))
    done = races(folder, "--seconds", "0", "--before", "service:fill")
    assert done.stderr == "line 1: POST /items/1/orders answers 200, and 201 in the file\n"
    assert "no pair of requests could be raced, so nothing is known" in done.stdout
    assert done.returncode == 3


def test_where_nothing_could_be_raced_that_is_no_pass(folder):
    (folder / "order.jsonl").write_text('{"method": "GET", "path": "/nothing"}')
    done = races(folder)
    assert "no pair of requests could be raced (both only read), so nothing is known\n" in done.stdout
    assert done.returncode == 3


def test_an_accepted_race_fails_nothing(folder):
    entry = '[[accepted]]\nrequests = ["POST /items/{}/orders"]\nreason = "stock is counted by hand"\n'
    (folder / "lab-races.toml").write_text(entry)
    done = races(folder, "--before", "service:fill")
    assert "(accepted: stock is counted by hand)" in done.stdout
    assert done.returncode == 0


WRONG = [
    ("'service' names nothing; APP is module:attribute", "service"),
    ("no module named 'nowhere'; APP is module:attribute", "nowhere:app"),
    ("service has no 'nothing'; APP is module:attribute", "service:nothing"),
    ("service:wants is neither an ASGI application nor a function", "service:wants"),
    ("service:broken makes no application: RuntimeError: no migrations today", "service:broken"),
    ("service:Base makes no ASGI application, but a Base", "service:Base"),
    ("no.har cannot be read: No such file or directory", "service:app", "--requests", "no.har"),
    ("service.py, line 2, column 1: not valid JSON", "service:app", "--requests", "service.py"),
    ("--before service:wants wants connection; name a function", "service:app", "--before", "service:wants"),
    ("service has no 'nix'; --before takes module:function", "service:app", "--before", "service:nix"),
    ("--before service:engine is no function", "service:app", "--before", "service:engine"),
    ("--before failed: RuntimeError: no migrations today (", "service:app", "--before", "service:broken"),
    ("service.py cannot be written into", "service:app", "--write", "service.py/found"),
    ("--html no/report: there is no folder", "service:app", "--html", "no/report"),
    ("this URL names mysql", "service:app", "--rows-from", "mysql://a"),
    ("has no request to b; the hosts are a (1)", "service:app", "--requests", "hosts.jsonl", "--host", "b"),
    ("; --no-lifespan leaves its start out", "late:app"),
]
LATE = """
import contextlib
from fastapi import FastAPI, Request
from sqlalchemy import text
from service import Base, engine

@contextlib.asynccontextmanager
async def lifespan(app):
    raise RuntimeError("not today")
    yield

app = FastAPI(lifespan=lifespan)


@app.post("/items/1/orders")
async def order(request: Request):
    async with engine.begin() as connection:
        await connection.execute(request.state.less)
"""


def test_what_is_wrong_is_said_in_one_sentence(folder):
    (folder / "hosts.jsonl").write_text('{"method": "GET", "url": "http://a/"}')
    (folder / "late.py").write_text(LATE)
    lines = [["races", *arguments] for _, *arguments in WRONG]
    lines = [each if "--requests" in each else [*each, "--requests", "order.jsonl"] for each in lines]
    for (said, *_), (status, out, err) in zip(WRONG, lab_each(lines, cwd=folder), strict=True):
        assert said in err
        assert (status, out, err.count("\n")) == (2, "", 1), err


def test_where_no_tables_are_defined_it_is_said_how_to_have_some(tmp_path):
    (tmp_path / "bare.py").write_text("async def app(scope, receive, send):\n    pass\n")
    (tmp_path / "order.jsonl").write_text(json.dumps(ORDER))
    done = races(tmp_path, app="bare:app")
    assert "no module of the application defines tables for SQLAlchemy" in done.stderr
    assert "--before MODULE:FUNCTION makes and fills them, --rows-from URL copies those of a database" in done.stderr
    assert done.returncode == 2


def test_an_application_that_makes_its_tables_itself_begins_without_any(folder):
    """Its migrations fail where the tables are there already."""
    (folder / "late.py").write_text(LATE.replace('raise RuntimeError("not today")', MIGRATES))
    done = races(folder, "--json", app="late:app")
    assert [each["standing"] for each in json.loads(done.stdout)["pairs"]] == ["safe"], done
    assert done.returncode == 0


MIGRATES = """
    async with engine.begin() as connection:
        if await connection.scalar(text("SELECT to_regclass('migrations')::text")) is None:
            await connection.execute(text("CREATE TABLE migrations (number int)"))
            await connection.execute(text("CREATE TABLE item (id serial PRIMARY KEY, stock int)"))
            await connection.execute(text("INSERT INTO item VALUES (1, 3)"))
    yield {"less": text("UPDATE item SET stock = stock - 1 WHERE id = 1")}
    return
"""


def test_a_shell_completes_applications(folder):
    (folder / "late.py").write_text(LATE)
    line = {"COMP_WORDS": "lab races la", "COMP_CWORD": "2", "_LAB_COMPLETE": "bash_complete"}
    done = lab_started(cwd=folder, env=environment(**line))
    assert (done.returncode, done.stdout, done.stderr) == (0, "plain,late:app\n", "")


def test_an_interrupt_keeps_what_was_found(folder):
    """It comes while the second pair is raced, and the first has shown its race."""
    os.mkfifo(folder / "pipe")
    (folder / "service.py").write_text(SERVICE + INTERRUPTED)
    lines = [ORDER, {"method": "POST", "path": "/items/1/signals"}]
    (folder / "order.jsonl").write_text("\n".join(map(json.dumps, lines)))
    command = [PROGRAM, "races", "service:app", "--requests", "order.jsonl", "--before", "service:fill"]
    process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True)
    (folder / "pipe").open().close()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=SECONDS)
    assert "Race 1  P4: read-modify-write" in out
    assert "(interrupted before it was known)\n" in out
    assert out.endswith("interrupted; this is what was found until then\n")
    assert process.returncode == 1


INTERRUPTED = """
asked = 0


@app.post("/items/{item_id}/signals")
async def signals(item_id: int, session: AsyncSession = Depends(get_session)):
    global asked
    asked += 1
    if asked == 2:
        open("pipe", "w").close()
    session.add(Item(stock=1))
    await session.commit()
"""


BEHIND_A_LOCK = """
guard = asyncio.Lock()


@app.middleware("http")
async def passes_on(request, call_next):
    return await call_next(request)


@app.post("/items/{item_id}/halves")
async def half(item_id: int):
    async with guard, Session() as session:
        left = (await session.get_one(Item, item_id)).stock
    async with guard, Session() as session:
        (await session.get_one(Item, item_id)).stock = left - 1
        await session.commit()


@app.post("/items/{item_id}/wholes")
async def whole(item_id: int):
    async with guard, Session() as session:
        (await session.get_one(Item, item_id)).stock -= 1
        await session.commit()
"""


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [("halves", 1, "1 race in 1 pair\n"), ("wholes", 0, "\nSafe: some serial order")],
)
def test_requests_with_more_traces_than_can_be_run_are_sampled_as_well(folder, path, status, said):
    """A middleware of Starlette's passes messages on between tasks, whose order matters once somebody waits."""
    (folder / "service.py").write_text(SERVICE + BEHIND_A_LOCK)
    (folder / "order.jsonl").write_text(json.dumps({"method": "POST", "path": f"/items/1/{path}"}))
    done = races(folder, "--before", "service:fill")
    assert said in done.stdout
    assert (done.returncode, done.stderr) == (status, "")
