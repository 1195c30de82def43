"""The line of the user's code behind each step: noted in the executions that are reported, and in no other."""

from __future__ import annotations

import asyncio
import importlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from helpers import shop
from helpers.kit import Bank, Order, add
from helpers.shop import line_of
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

import lab
from lab import Scenario, actor, invariant
from lab.engine import origins
from lab.engine.origins import Noting
from lab.explore import Conditions
from lab.model.origin import Origin
from lab.model.record import ExecutionRecord, Failure
from lab.model.trace import ActionKind
from lab.report.data import story_data
from lab.report.failure import execution_report
from lab.report.places import calls_of, places_of
from lab.search.hunt import Hunt
from lab.shrink.refine import refined

SERVICE = "service.py"


@dataclass(frozen=True)
class Shop(Scenario):
    """One customer with two orders, and one actor for each function of the service."""

    metadata = shop.Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add(shop.Customer(id=1, orders=[shop.Order(id=1), shop.Order(id=2)]))


async def ran(explorer, scenario: Scenario, order: str = "") -> ExecutionRecord:
    record = await explorer.run(scenario, Order(order), origins=True)
    assert len(record.origins) == len(record.trace)
    return record


def lines(record: ExecutionRecord, file: str = "shop.py") -> list[tuple[str, int]]:
    """The kind of each step with its line in a file."""
    found = []
    for step in record.trace:
        origin = record.origin(step.number)
        if origin is not None and origin.file.endswith(file):
            found.append((step.action.kind.value, origin.line))
    return found


def one(do):
    """A scenario in which one actor does something with its session, and another one waits at a point of its own."""

    class One(Shop):
        @actor
        async def ann(self, session) -> None:
            await do(session)

        @actor
        async def ben(self) -> None:
            await lab.point("here")

    return One()


async def test_each_statement_has_its_line_in_the_service_that_was_called(explorer):
    """A get, a lazy load, and a commit that flushes first: two steps of one line. The call path begins in the actor."""
    record = await ran(explorer, one(shop.pay_all))
    flush = line_of("flush and COMMIT")
    assert lines(record) == [
        ("statement", line_of("get")),
        ("statement", line_of("lazy load")),
        ("statement", flush),
        ("COMMIT", flush),
    ]
    origin = record.origin(1)
    assert [each.function for each in origin.path] == ["one.<locals>.One.ann", "pay_all"]
    assert origin.function == "pay_all"
    assert origin.path[0].file.endswith("test_origins.py")
    assert calls_of(origin) == ()


async def test_functions_that_run_in_the_synchronous_core_are_seen_through(explorer):
    """`run_sync` runs them in a greenlet. What parks there, or in a coroutine that it awaits, has their lines."""

    async def do(session: AsyncSession) -> None:
        await session.run_sync(shop.count_now)
        await session.run_sync(shop.count_and_commit)

    assert lines(await ran(explorer, one(do))) == [
        ("statement", line_of("called by run_sync")),
        ("statement", line_of("text SQL called by run_sync")),
        ("COMMIT", line_of("COMMIT called by run_sync")),
    ]


async def test_a_task_goes_on_from_the_line_that_made_it(explorer):
    """Its own lines where it has some, else the line that made it; the path begins in the actor in both cases."""

    async def do(session: AsyncSession) -> None:
        await shop.ask_in_a_task(session)
        await shop.ask_at_once(session)

    record = await ran(explorer, one(do))
    assert lines(record) == [
        ("statement", line_of("text SQL")),
        ("statement", line_of("a task of SQLAlchemy's only")),
    ]
    in_a_task = next(each for each in record.origins if each and each.line == line_of("text SQL"))
    assert [(each.function, each.line) for each in in_a_task.path[1:]] == [
        ("test_a_task_goes_on_from_the_line_that_made_it.<locals>.do", in_a_task.path[1].line),
        ("ask_in_a_task", line_of("the task")),
        ("ask", line_of("text SQL")),
    ]


async def test_points_sleeps_and_the_driver_have_lines_too(explorer):
    class Own(Bank):
        @actor
        async def ann(self, connection) -> None:
            driver = (await connection.get_raw_connection()).driver_connection
            await driver.fetch("SELECT 1")
            await asyncio.sleep(1)

        @actor
        async def ben(self) -> None:
            await lab.point("here")

    record = await ran(explorer, Own(), "ann ann ben")
    first = Own.ann.__code__.co_firstlineno
    assert lines(record, "test_origins.py")[:3] == [
        ("statement", first + 3),
        ("sleep", first + 4),
        ("point", Own.ben.__code__.co_firstlineno + 2),
    ]


async def test_the_end_of_a_block_is_the_line_of_its_with(explorer):
    """`session.begin()` commits as its block is left; closing a session rolls back, in a task of SQLAlchemy's."""

    class Blocks(Bank):
        @actor
        async def ann(self, sessions: async_sessionmaker[AsyncSession]) -> None:
            async with sessions() as session, session.begin():
                await session.execute(add(1))
            async with sessions() as session:
                await session.execute(select(1))

        @actor
        async def ben(self, session) -> None:
            await session.execute(select(1))

    record = await ran(explorer, Blocks())
    first = Blocks.ann.__code__.co_firstlineno
    of_ann = [(step.action.kind, record.origin(step.number).line) for step in record.trace if step.actor == "ann"]
    assert of_ann == [
        (ActionKind.STATEMENT, first + 3),
        (ActionKind.COMMIT, first + 2),
        (ActionKind.STATEMENT, first + 5),
        (ActionKind.ROLLBACK, first + 4),
    ]
    # The session that the lab opened for ben is closed by the lab: no line of the user's does it.
    assert record.origins[-1] is None
    assert record.trace.steps[-1].action.kind is ActionKind.ROLLBACK


async def test_a_deadlock_names_where_each_row_was_taken_and_asked_for(explorer):
    """Of the two rows, of both actors: four places, and the same without lines as numbers of steps."""

    class Crossed(Shop):
        @actor
        async def ann(self, session) -> None:
            await shop.pay(session, 1, 2)

        @actor
        async def ben(self, session) -> None:
            await shop.pay(session, 2, 1)

    order = "ann ann ben ben ann ben ann ben"
    record = await explorer.run(Crossed(), Order(order), origins=True)
    (cycle,) = record.deadlocks
    report = execution_report(record)
    taken, asked = (f"shop.py:{line_of(mark)}" for mark in ("the first order", "the second order"))
    for edge in cycle:
        other = next(each for each in cycle if each.holder == edge.waiter)
        assert f"since {taken} (#{other.since}) and waits for {edge.holder} at {asked} (#{edge.step})" in report
        assert record.trace.steps[edge.step - 1].actor == edge.waiter
        assert record.trace.steps[edge.since - 1].actor == edge.holder
    bare = execution_report(await explorer.run(Crossed(), Order(order)))
    assert f"since #{cycle[0].since} and waits" in bare
    assert "shop.py" not in bare


async def test_a_row_that_one_of_several_statements_may_have_taken_has_no_since(explorer):
    """Text SQL is known by its tables only, so both statements of the holder may have taken the row."""

    class Crossed(Bank):
        @actor(names=("ann", "ben"))
        async def work(self, session, name) -> None:
            first, second = (1, 2) if name == "ann" else (2, 1)
            await session.execute(add(first))
            await session.execute(add(second))

    record = await explorer.run(Crossed(), Order("ann ben ann ben"), origins=True)
    (cycle,) = record.deadlocks
    assert {edge.waiter: edge.since for edge in cycle} == {"ann": 2, "ben": 0}
    assert all(edge.step for edge in cycle)


LIBRARY = """
from sqlalchemy import text

class Repository:
    async def add(self, session):
        await self._send(session)

    async def _send(self, session):
        await session.execute(text("SELECT 1"))
"""
SCENARIO = """
from somebodys_library import Repository
from helpers.kit import Bank
from lab import actor

class Installed(Bank):
    @actor(names=("ann", "ben"))
    async def work(self, session):
        await Repository().add(session)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with a library and a scenario that uses it."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "somebodys_library.py").write_text(LIBRARY)
    (folder / "somebodys_scenario.py").write_text(SCENARIO)
    monkeypatch.syspath_prepend(folder)
    for name in ("somebodys_library", "somebodys_scenario"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


async def test_a_library_has_its_call_path_behind_the_users_line(explorer, site):
    """The line is the user's; the path goes on through the library, and the report shows it."""
    repository = importlib.import_module("somebodys_library").Repository

    class Uses(Bank):
        @actor(names=("ann", "ben"))
        async def work(self, session) -> None:
            await repository().add(session)

    record = await ran(explorer, Uses(), "ann")
    origin = record.origin(1)
    line = Uses.work.__code__.co_firstlineno + 2
    assert (origin.line, origin.function.rpartition(".")[2]) == (line, "work")
    assert [(each.file, each.line, each.function) for each in calls_of(origin)] == [
        ("somebodys_library.py", 6, "Repository.add"),
        ("somebodys_library.py", 9, "Repository._send"),
    ]
    report = execution_report(record)
    assert "Through libraries" in report
    assert "somebodys_library.py:6 Repository.add → somebodys_library.py:9 Repository._send" in " ".join(report.split())
    assert str(site) not in report


async def test_a_scenario_that_is_installed_itself_is_the_code_under_test(explorer, site):
    scenario = importlib.import_module("somebodys_scenario").Installed()
    record = await ran(explorer, scenario, "ann")
    assert (record.origin(1).file, record.origin(1).line) == ("somebodys_scenario.py", 9)


class Lost(Bank):
    @actor(names=("ann", "ben"))
    async def work(self, session) -> None:
        balance = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
        await session.execute(text(f"UPDATE account SET balance = {balance} + 1 WHERE id = 1"))
        await session.commit()

    @invariant
    async def both_count(self, session) -> None:
        assert await session.scalar(text("SELECT balance FROM account WHERE id = 1")) == 102


async def test_a_search_notes_nothing(explorer, monkeypatch):
    """Its executions never read a stack: noting is another class, which only executions for a report are made of."""

    def refuse(*args):
        raise AssertionError("noted in an execution that nobody reports")

    monkeypatch.setattr(Noting, "__init__", refuse)
    monkeypatch.setattr(origins, "_running", refuse)
    result = await Hunt.of(Lost(), executions=30, refine=False, keep_going=True).run(explorer)
    assert result.violated
    record = await explorer.run(Lost(), Order("ann"), recorded=True)
    assert record.origins == ()
    assert [each["at"] for each in story_data(record)["steps"]] == [None] * len(record.trace)


async def test_a_reported_failure_has_all_its_lines(explorer):
    """As text in short, as data in full; no line of the story is longer than 100 columns, no file is named in full."""
    result = await Hunt.of(Lost(), executions=30).run(explorer)
    (failure,) = result.failures
    first = Lost.work.__code__.co_firstlineno
    for step in failure.story["steps"]:
        at = step["at"]
        assert at["line"] in range(first + 2, first + 5)
        assert at["function"] == "Lost.work"
        assert at["path"] == [{key: at[key] for key in ("file", "line", "function")}]
        assert not Path(at["file"]).is_absolute()
        assert f"test_origins.py:{at['line']}" in failure.report
    story = failure.report.partition("\n\n")[2].partition("\n\n")[0]
    assert max(map(len, story.splitlines())) <= 100
    assert str(Path(__file__).parent) not in failure.report


async def test_each_stage_of_a_report_has_them_the_first_one_too(explorer):
    """That is the execution as it was found: a search noted no lines, so it is run once more."""
    found = await explorer.run(Lost(), Order("ann ben ben ben ann"))
    assert found.failed
    assert found.origins == ()
    stages = [each async for each in refined(explorer, Failure(found, "", found), Conditions())]
    assert stages[0].record.trace == found.trace
    assert all(len(each.record.origins) == len(each.record.trace) for each in stages)
    assert all(None not in each.record.origins for each in stages)


async def test_files_of_one_name_are_told_apart_by_their_folders(explorer):
    record = await ran(explorer, Lost(), "ann")
    orders, users = Origin(f"shop/orders/{SERVICE}", 1, "f"), Origin(f"shop/users/{SERVICE}", 2, "f")
    places = places_of(replace(record, origins=(orders, users, None, Origin("a.py", 3, "f"))))
    assert places == {1: f"orders/{SERVICE}:1", 2: f"users/{SERVICE}:2", 4: "a.py:3"}
