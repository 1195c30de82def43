"""What a session keeps of an execution that was tidy, and that no later execution sees anything of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from helpers.kit import Account, Bank, Order, told
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor
from lab.explore import Explorer

BEFORE = 4
"""Executions in which nothing but rows is touched, so that sessions keep what they keep."""


class Numbers(DeclarativeBase):
    """Rows with numbers of a sequence."""


class Numbered(Numbers):
    __tablename__ = "numbered"
    id: Mapped[int] = mapped_column(primary_key=True)
    note: Mapped[str] = mapped_column(default="")


@dataclass(frozen=True)
class Asking(Scenario):
    """Alice inserts a row and reads; where there is something to `ask`, she asks that first, or in a transaction."""

    metadata = Numbers.metadata
    ask: str = ""
    first: bool = True

    @actor
    async def alice(self, session: AsyncSession) -> object:
        answer = None
        async with session.begin():
            if self.ask and self.first:
                answer = await answer_to(session, self.ask)
            await session.scalars(text("SELECT id FROM numbered"))
            if self.ask and not self.first:
                answer = await answer_to(session, self.ask)
            else:
                session.add(Numbered())
        return answer

    @actor
    async def bob(self, session: AsyncSession) -> None: ...


async def answer_to(session: AsyncSession, question: str) -> object:
    try:
        async with session.begin_nested():
            return await session.scalar(text(question))
    except DBAPIError as error:
        return getattr(error.orig, "sqlstate", None)


@pytest.fixture
async def fresh(server):
    """An explorer whose sessions have seen nothing, and which makes no runs before the first."""
    explorer = Explorer(server, learns=False)
    yield explorer
    await explorer.aclose()


async def results(explorer: Explorer, scenario: Scenario, times: int = 1, order: str = "") -> list[object]:
    records = [await explorer.run(scenario, Order(order)) for _ in range(times)]
    return [record.outcome.results["alice"].value for record in records]


def sessions(explorer: Explorer) -> list[Any]:
    return [each for database in explorer._databases for each in database._connections]


UNDEFINED = "55000"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("SELECT lastval()", UNDEFINED),
        ("SELECT currval('numbered_id_seq')", UNDEFINED),
        ("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT%'", 0),
        ("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%FROM numbered'", None),
    ],
)
async def test_numbers_and_prepared_statements_of_former_executions_are_not_seen(fresh, question, answer, first):
    await results(fresh, Asking(), BEFORE)
    expected = answer if answer is not None else int(not first)
    assert await results(fresh, Asking(question, first)) == [expected]


async def test_a_tidy_execution_keeps_its_statements_prepared_and_sends_no_reset(fresh, monkeypatch):
    await results(fresh, Asking(), BEFORE)
    sent: list[str] = []
    prepared: list[str] = []
    for each in sessions(fresh):
        wire = each._protocol

        async def query(script: str, timeout: Any, real: Any = wire._protocol.query) -> Any:
            sent.append(script)
            return await real(script, timeout)

        async def prepare(name: str, script: str, *more: Any, real: Any = wire._protocol.prepare, **named: Any) -> Any:
            prepared.append(script)
            return await real(name, script, *more, **named)

        monkeypatch.setattr(wire, "_protocol", Watched(wire._protocol, query=query, prepare=prepare))
    assert await results(fresh, Asking()) == [None]
    assert prepared == []
    assert sent == ["BEGIN;", "COMMIT;"], "what the session owes is written with what comes after BEGIN"


class Watched:
    """A protocol of which some methods are replaced."""

    def __init__(self, protocol: Any, **methods: Any) -> None:
        self._real = protocol
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@dataclass(frozen=True)
class Leaving(Bank):
    """Alice leaves something in her session, or looks for it."""

    leave: str = ""
    look: str = ""
    inside: bool = True

    @actor
    async def alice(self, session: AsyncSession) -> object:
        await session.get(Account, 1)
        if self.leave:
            await session.execute(text(self.leave))
            await session.commit()
        return await session.scalar(text(self.look)) if self.look else None

    @actor
    async def bob(self, session: AsyncSession) -> None: ...


LEFT = [
    ("SET application_name = 'left'", "SELECT current_setting('application_name')", "concurrency-lab actor"),
    ("SELECT set_config('app.who', 'alice', false)", "SELECT current_setting('app.who', true)", ("", None)),
    ("SELECT pg_advisory_lock(7)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 0),
    ("CREATE TEMP TABLE account (id int)", "SELECT count(*) FROM account", 4),
    ("DECLARE held CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) FROM pg_cursors WHERE name = 'held'", 0),
    ("PREPARE mine AS SELECT 1", "SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine'", 0),
    ("LISTEN news", "SELECT count(*) FROM pg_listening_channels()", 0),
    ("SET ROLE pg_monitor", "SELECT current_user = session_user", True),
]


@pytest.mark.parametrize(("leave", "look", "answer"), LEFT, ids=[each[0] for each in LEFT])
async def test_what_an_actor_leaves_in_its_session_is_gone_in_the_next_execution(fresh, leave, look, answer):
    await results(fresh, Leaving(), BEFORE)
    await results(fresh, Leaving(leave=leave))
    (found,) = await results(fresh, Leaving(look=look))
    assert found in answer if isinstance(answer, tuple) else found == answer


@dataclass(frozen=True)
class Hidden(Leaving):
    """The same behind something of the catalog."""

    made: str = ""

    async def schema(self, connection: AsyncConnection) -> None:
        await connection.run_sync(self.metadata.create_all)
        for each in self.made.split("\n"):
            await connection.execute(text(each))


SETS = "set_config('app.who', 'alice', false)"
HIDING = [
    (f"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT {SETS} $$", "SELECT f()"),
    ("CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET app.who TO alice; END $$", "SELECT g()"),
    (f"CREATE VIEW v AS SELECT {SETS} AS who", "SELECT who FROM v"),
    (f"CREATE TABLE d (id int, who text DEFAULT {SETS})", "INSERT INTO d (id) VALUES (1)"),
    (f"CREATE TABLE c (id int CHECK ({SETS} <> ''))", "INSERT INTO c (id) VALUES (1)"),
    (f"CREATE TABLE r (id int)\nCREATE RULE r AS ON INSERT TO r DO ALSO SELECT {SETS}", "INSERT INTO r VALUES (1)"),
    (
        """CREATE TABLE t (id int)
CREATE FUNCTION h() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET app.who = 'alice'; RETURN NEW; END $$
CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION h()""",
        "INSERT INTO t (id) VALUES (1)",
    ),
]


@pytest.mark.parametrize(("made", "leave"), HIDING, ids=[each[1] for each in HIDING])
async def test_what_is_left_by_something_behind_a_statement_is_gone_as_well(fresh, made, leave):
    look = "SELECT current_setting('app.who', true)"

    class Own(Hidden):
        leaving: ClassVar[str] = ""

        async def setup(self, session: AsyncSession) -> None:
            session.add(Account(id=1, balance=100))

        @actor
        async def alice(self, session: AsyncSession) -> object:
            await session.get(Account, 1)
            if self.leaving:
                await session.execute(text(self.leaving))
                await session.commit()
                return None
            return await session.scalar(text(look))

    await results(fresh, Own(made=made), BEFORE)
    Own.leaving = leave
    await results(fresh, Own(made=made))
    Own.leaving = ""
    (found,) = await results(fresh, Own(made=made))
    assert found in ("", None)


@dataclass(frozen=True)
class Meeting(Bank):
    """Alice reads all columns in a transaction, and bob does something to the table before."""

    does: str = ""

    @actor
    async def alice(self, session: AsyncSession) -> object:
        async with session.begin():
            return [tuple(each) for each in await session.execute(text("SELECT * FROM account WHERE id = 1"))]

    @actor
    async def bob(self, session: AsyncSession) -> None:
        if self.does:
            await session.execute(text(self.does))
            await session.commit()


async def test_a_statement_kept_prepared_does_not_fail_for_a_table_that_was_altered(fresh):
    await results(fresh, Meeting(), BEFORE)
    altered = await results(
        fresh, Meeting("ALTER TABLE account ADD COLUMN more int DEFAULT 5"), 2, "bob bob alice alice"
    )
    assert altered == [[(1, 100, 5)]] * 2


async def test_a_wait_for_a_table_is_the_same_for_who_finds_its_statement_prepared(fresh, server):
    """Preparing waits as well, so who does not prepare would wait elsewhere."""
    locks, order = Meeting("LOCK TABLE account"), "bob alice"
    await results(fresh, Meeting(), BEFORE)
    warm = [told((await fresh.run(locks, Order(order))).trace) for _ in range(2)]
    cold = Explorer(server, learns=False)
    try:
        assert warm == [told((await cold.run(locks, Order(order))).trace)] * 2
    finally:
        await cold.aclose()
    assert any("(B)" in line for line in warm[0])


@dataclass(frozen=True)
class Decoding(Bank):
    """Alice reads a number, perhaps with a codec of her own."""

    own: bool = False

    @actor
    async def alice(self, connection: AsyncConnection) -> object:
        driver = (await connection.get_raw_connection()).driver_connection
        if self.own:
            await driver.set_type_codec("int8", schema="pg_catalog", encoder=str, decoder=lambda value: f"<{value}>")
        async with driver.transaction():
            return await driver.fetchval("SELECT count(*) FROM account")

    @actor
    async def bob(self, session: AsyncSession) -> None: ...


async def test_a_statement_kept_prepared_reads_with_the_codecs_of_now(fresh):
    await results(fresh, Decoding(), BEFORE)
    assert await results(fresh, Decoding(own=True)) == ["<4>"]
