"""What a request touches beyond the tables that its statements name: such pairs are raced, and not called hopeless."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import lab
from lab.engine.replaced import replaced
from lab.search.races.actions import Actions
from lab.search.races.named import touched_by
from lab.search.races.pairs import TIMES, ranked
from lab.search.races.recording import Recorder

MADE = """
CREATE TABLE account (id int PRIMARY KEY, balance int);
CREATE TABLE entry (id int PRIMARY KEY, account_id int REFERENCES account ON DELETE CASCADE);
CREATE TABLE note (id int PRIMARY KEY, entry_id int REFERENCES entry ON DELETE SET NULL, words text);
CREATE TABLE audit (id int);
CREATE TABLE checked (id int);
CREATE TABLE numbered (id int);
CREATE TABLE plain (id int);
CREATE VIEW rich AS SELECT * FROM account WHERE balance > 100;
CREATE FUNCTION spend(int) RETURNS void LANGUAGE sql AS 'UPDATE account SET balance = balance - 1 WHERE id = $1';
CREATE FUNCTION is_fine(int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM account)';
CREATE FUNCTION next_one() RETURNS int LANGUAGE sql AS 'SELECT count(*)::int FROM account';
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE account SET balance = 0; RETURN NEW; END';
CREATE TRIGGER noted AFTER INSERT ON audit FOR EACH ROW EXECUTE FUNCTION noted();
ALTER TABLE checked ADD CHECK (is_fine(id));
ALTER TABLE numbered ALTER id SET DEFAULT next_one();
INSERT INTO account VALUES (1, 10);
"""


class Service:
    """Sends what it is given, and commits."""

    held = asyncio.Event()

    def __init__(self, session):
        self.session = session

    async def ask(self, statement):
        await self.session.execute(text(statement))
        await self.session.commit()

    async def copy(self):
        raw = await (await self.session.connection()).get_raw_connection()
        await raw.driver_connection.copy_records_to_table("plain", records=[(1,)])
        await self.session.commit()

    async def leave(self, statement):
        async def later():
            await self.held.wait()
            await self.ask(statement)

        self.left = asyncio.create_task(later())


@pytest.fixture
async def recorder(server):
    """A recorder that is on, and an engine whose database has the tables."""
    recorder = Recorder(server)
    engine = create_async_engine("postgresql+asyncpg://nobody@nowhere/no_name")
    with replaced(Actions, "wanted", True), recorder.on():
        async with engine.begin() as connection:
            raw = await connection.get_raw_connection()
            await raw.driver_connection.execute(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {MADE}")
        yield recorder, engine
        await engine.dispose()
    recorder.close()


@pytest.fixture
async def recorded(recorder):
    """A service, and the recording of its calls."""
    with recorder[0].test("test_it") as recording:
        async with AsyncSession(recorder[1]) as session:
            yield lab.actions(Service(session)), recording


@pytest.mark.parametrize(
    ("statement", "more"),
    [
        ("SELECT spend(1)", True),
        ("SELECT public.spend(1)", True),
        ("SELECT * FROM rich", True),
        ("INSERT INTO audit VALUES (1)", True),
        ("INSERT INTO checked VALUES (1)", True),
        ("INSERT INTO numbered VALUES (1)", True),
        ("SELECT pg_advisory_xact_lock(1)", True),
        ("SELECT balance FROM account", False),
        ("SELECT lower('spend')", False),
        ("SELECT id FROM audit", False),
        ("INSERT INTO plain VALUES (1)", False),
    ],
)
async def test_what_calls_a_function_may_touch_more_than_it_names(recorded, statement, more):
    service, recording = recorded
    await service.ask(statement)
    assert [each.touched.more for each in recording.sent] == [more]


@pytest.mark.parametrize("statement", ["DELETE FROM account", "UPDATE account SET id = 2"])
async def test_rows_that_go_with_others_are_written(recorded, statement):
    service, recording = recorded
    await service.ask("SELECT 1")
    state = recording.sent[0].state
    assert touched_by([statement], state).written == {"account", "entry", "note"}
    assert touched_by(["DELETE FROM note"], state).written == {"note"}


async def test_rows_that_changed_though_nothing_was_heard_are_a_change(recorded):
    """asyncpg tells its listeners of no COPY."""
    service, recording = recorded
    await service.copy()
    await service.ask("SELECT 1")
    assert [(each.touched.written, each.touched.more) for each in recording.sent] == [(set(), True), (set(), False)]


async def test_such_calls_are_paired_and_those_that_only_read_are_not(recorded):
    service, recording = recorded
    await service.ask("SELECT spend(1)")
    await service.ask("SELECT balance FROM account")
    pairs, skipped = ranked([recording])
    assert [each.title for each in pairs] == [f"Service.ask {TIMES} itself", f"Service.ask {TIMES} Service.ask"]
    assert [(each.pair.first.body, each.why) for each in skipped] == [
        ("'SELECT balance FROM account'", "both only read")
    ]


async def test_what_a_task_sends_behind_the_answer_is_of_the_call(recorder, monkeypatch):
    """The double click of a request that answers 202 and works later was called a pair that only reads."""
    monkeypatch.setattr(Service, "held", asyncio.Event())
    with recorder[0].test("test_it") as recording:
        async with AsyncSession(recorder[1]) as session:
            service = Service(session)
            await lab.actions(service).leave("INSERT INTO plain VALUES (1)")
            Service.held.set()
            await service.left
    assert [(each.touched.written, each.touched.more) for each in recording.sent] == [({"plain"}, True)]


async def test_a_task_that_never_ended_may_touch_anything(recorder, monkeypatch):
    monkeypatch.setattr(Service, "held", asyncio.Event())
    with recorder[0].test("test_it") as recording:
        async with AsyncSession(recorder[1]) as session:
            service = Service(session)
            await lab.actions(service).leave("SELECT 1")
            await lab.actions(service).ask("SELECT 1")
    assert [each.touched.more for each in recording.sent] == [True, False]
    service.left.cancel()
