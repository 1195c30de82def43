"""Where actors park."""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio import sleep as bare_sleep
from dataclasses import dataclass

import anyio
import anyio.lowlevel
from helpers.kit import Account, Bank, Order, add, of, replays, told
from sqlalchemy import insert, select, text, update

import lab
from lab import actor
from lab.errors import SearchOver
from lab.model.outcome import Ending
from lab.model.trace import ActionKind
from lab.schedulers.dpor import Dpor


class Idle(Bank):
    """Gives a scenario its second actor, which does nothing."""

    @actor
    async def idle(self) -> None: ...


async def test_an_actor_parks_before_every_statement_and_before_commit(explorer):
    class Writes(Idle):
        @actor
        async def alice(self, session) -> None:
            async with session.begin():
                account = await session.get(Account, 1)
                account.balance = 7
                await session.flush()
                await session.execute(text("SELECT 1"))

    record = await explorer.run(Writes(), Order())
    steps = of(record, "alice")
    assert steps[0].startswith("SELECT account.id")
    assert steps[1].startswith("UPDATE account SET balance=")
    assert steps[2:] == ["SELECT 1", "COMMIT"]
    assert record.outcome.rows["account"][0] == "(1,7)"


async def test_rollback_is_a_scheduling_point(explorer):
    class Rolls(Idle):
        @actor
        async def alice(self, session) -> None:
            await session.execute(add(1))
            await session.rollback()

    record = await explorer.run(Rolls(), Order())
    assert of(record, "alice")[1:] == ["ROLLBACK"]
    assert record.outcome.rows["account"][0] == "(1,100)"


async def test_savepoint_operations_are_one_scheduling_point_each(explorer):
    class Nests(Idle):
        @actor
        async def alice(self, session) -> None:
            async with session.begin():
                async with session.begin_nested():
                    await session.execute(add(1))
                nested = await session.begin_nested()
                await session.execute(add(2))
                await nested.rollback()

    record = await explorer.run(Nests(), Order())
    assert [step.action.kind for step in record.trace] == [
        ActionKind.SAVEPOINT,
        ActionKind.STATEMENT,
        ActionKind.RELEASE,
        ActionKind.SAVEPOINT,
        ActionKind.STATEMENT,
        ActionKind.ROLLBACK_TO,
        ActionKind.COMMIT,
    ]
    assert record.trace.steps[0].action.text == "sa_savepoint_1"
    assert record.trace.steps[0].result.tag == "SAVEPOINT"
    assert record.outcome.rows["account"][:2] == ("(1,101)", "(2,100)")


async def test_a_point_of_ones_own_is_a_scheduling_point_with_its_label(explorer):
    class Points(Idle):
        @actor
        async def alice(self) -> None:
            await lab.point("halfway")

    record = await explorer.run(Points(), Order())
    assert told(record.trace) == ["alice point halfway"]


async def test_a_point_outside_an_execution_does_nothing():
    await asyncio.wait_for(lab.point("nobody"), 5)
    assert lab.engine.gate.current_actor() is None


async def test_every_spelling_of_sleep_is_a_point_and_takes_no_time(explorer):
    class Sleeps(Idle):
        points = "all"

        @actor
        async def alice(self) -> list[object]:
            await asyncio.sleep(3600)
            await bare_sleep(3600)
            await anyio.sleep(3600)
            await asyncio.sleep(0)
            await bare_sleep(-1)
            await anyio.lowlevel.checkpoint()
            return [await asyncio.sleep(5, "late"), await asyncio.sleep(0, "soon")]

    before = time.monotonic()
    record = await explorer.run(Sleeps(), Order())
    assert time.monotonic() - before < 60
    hour = ["sleep 3600"] * 3
    assert of(record, "alice") == [*hour, "sleep 0", "sleep 0", "sleep 0", "sleep 5", "sleep 0"]
    assert record.outcome.results["alice"].value == ["late", "soon"]


async def test_a_sleep_for_no_time_is_no_step(explorer):
    """Nobody else can see it, in whatever task and however it is spelt."""

    class Sleeps(Idle):
        @actor
        async def alice(self, session) -> object:
            async def work() -> None:
                await anyio.lowlevel.checkpoint()
                await session.execute(add(1))
                await session.commit()
                await bare_sleep(0)

            await asyncio.sleep(0)
            await asyncio.create_task(work())
            return await asyncio.sleep(0, "soon")

    record = await explorer.run(Sleeps(), Order())
    assert [step.action.kind for step in record.trace] == [ActionKind.STATEMENT, ActionKind.COMMIT]
    assert record.outcome.results["alice"].value == "soon"


async def test_a_sleep_for_no_time_is_a_step_while_another_waits_in_the_process(explorer):
    class Waits(Bank):
        @actor
        async def alice(self) -> None:
            self.box.append(asyncio.Event())
            await self.box[-1].wait()

        @actor
        async def bob(self, session) -> None:
            await session.execute(text("SELECT 1"))
            await asyncio.sleep(0)
            self.box[-1].set()

    Waits.box = []  # a scenario is frozen
    record = await explorer.run(Waits(), Order())
    assert told(record.trace)[:2] == ["bob SELECT 1", "bob sleep 0"]
    assert record.outcome.ending is Ending.COMPLETED


async def test_who_looks_again_and_again_lets_others_come(explorer):
    """It would look for ever otherwise: nobody else goes on without a decision."""

    class Looks(Bank):
        @actor
        async def alice(self) -> None:
            self.done.clear()
            while not self.done:  # noqa: ASYNC110 - as some code does
                await asyncio.sleep(0)

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(1))
            self.done.append(1)

    Looks.done = []
    record = await explorer.run(Looks(), Order("alice bob"))
    assert told(record.trace)[:1] == ["alice sleep 0"]
    assert record.outcome.ending is Ending.COMPLETED


@dataclass(frozen=True)
class Requests(Bank):
    """Two that take from one account, each as a framework would run it, or as a plain function."""

    framed: bool = True

    @actor(names=("alice", "bob"))
    async def take(self, session) -> None:
        async def work() -> None:
            balance = (await session.get_one(Account, 1)).balance
            await session.execute(update(Account).where(Account.id == 1).values(balance=balance - 1))
            await session.commit()

        if self.framed:
            send, receive = anyio.create_memory_object_stream[int](0)
            async with anyio.create_task_group() as tasks, send, receive:
                tasks.start_soon(self._forward, work, send)
                await receive.receive()
        else:
            await work()

    async def _forward(self, work, send) -> None:
        await work()
        await send.send(1)


async def test_the_tasks_of_a_request_add_no_orders(explorer):
    executions = {}
    for framed in (False, True):
        scheduler, found = Dpor(), set()
        with contextlib.suppress(SearchOver):
            for number in range(50):
                record = await explorer.run(Requests(framed), scheduler, execution=number)
                found.add(record.outcome.rows["account"][0])
                executions[framed] = number + 1
        assert len(found) == 2
        assert scheduler.complete
    assert executions[False] == executions[True] <= 8


async def test_a_wait_for_another_actor_makes_all_steps_depend_on_each_other(explorer):
    """What they share in the process is not seen: also once the wait is over."""

    class Shares(Bank):
        @actor
        async def alice(self, session) -> None:
            await session.execute(add(1))
            await self.queue.get()

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(2))
            await self.queue.put(1)
            await session.execute(add(2))

    Shares.queue = asyncio.Queue()
    stalled = []

    class Looks(Order):
        def choose(self, choices) -> int:
            stalled.append(choices.stalled)
            return super().choose(choices)

    await explorer.run(Shares(), Looks("alice bob bob"))
    assert (stalled[0], set(stalled[2:])) == (False, {True})


async def test_the_sleep_of_others_stays_real_during_an_execution(explorer):
    ticks = []

    async def tick() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            ticks.append(1)

    class Waits(Idle):
        @actor
        async def alice(self, session) -> None:
            await session.execute(text("SELECT pg_sleep(0.01)"))

    outside = asyncio.create_task(tick())
    record = await explorer.run(Waits(), Order())
    await outside
    assert len(ticks) == 3
    assert "sleep 0" not in "".join(told(record.trace))


async def test_a_sleeper_wakes_by_decision_only(explorer):
    """The shorter sleep does not end first: time is not what orders steps."""

    class Naps(Bank):
        @actor
        async def alice(self) -> None:
            await asyncio.sleep(100)

        @actor
        async def bob(self) -> None:
            await asyncio.sleep(1)

    record = await explorer.run(Naps(), Order("alice bob"))
    assert told(record.trace) == ["alice sleep 100", "bob sleep 1"]


async def test_actors_without_any_point_end_in_no_steps(explorer):
    class Nothing(Bank):
        @actor
        async def alice(self) -> int:
            return 1

        @actor
        async def bob(self) -> None:
            raise KeyError("k")

    record = await explorer.run(Nothing(), Order())
    assert len(record.trace) == 0
    assert record.outcome.ending is Ending.COMPLETED
    assert record.outcome.results["alice"].value == 1
    assert [f.message for f in record.findings] == ["KeyError: 'k'"]


async def test_autocommit_statements_take_effect_at_once(explorer):
    class Auto(Bank):
        @actor
        async def alice(self, engine) -> None:
            async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                await connection.execute(add(1))
                await lab.point("written")

        @actor
        async def bob(self, session) -> int:
            return await session.scalar(text("SELECT balance FROM account WHERE id = 1"))

    record = await explorer.run(Auto(), Order("alice bob"))
    assert record.outcome.results["bob"].value == 101
    assert await replays(explorer, record)


async def test_core_connections_park_like_sessions(explorer):
    class Core(Idle):
        @actor
        async def alice(self, connection) -> None:
            async with connection.begin():
                await connection.execute(update(Account).where(Account.id == 1).values(balance=3))
            await connection.exec_driver_sql("SELECT 2")
            await connection.rollback()

    record = await explorer.run(Core(), Order())
    assert of(record, "alice")[1:] == ["COMMIT", "SELECT 2", "ROLLBACK"]


async def test_executemany_is_one_point_with_a_row_of_parameters_each(explorer):
    class Many(Idle):
        @actor
        async def alice(self, connection) -> None:
            rows = [{"id": number, "balance": number} for number in (11, 12, 13)]
            await connection.execute(insert(Account), rows)
            await connection.commit()

    record = await explorer.run(Many(), Order())
    assert len(record.trace) == 2
    assert record.trace.steps[0].action.parameters == (("11", "11"), ("12", "12"), ("13", "13"))
    assert len(record.outcome.rows["account"]) == 7


@dataclass(frozen=True)
class Many(Bank):
    """More rows than SQLAlchemy fetches at first, which is 50."""

    async def setup(self, session) -> None:
        session.add_all([Account(id=number, balance=100) for number in range(120)])


async def test_a_streamed_result_parks_at_each_fetch(explorer):
    class Streams(Many):
        @actor
        async def alice(self, session) -> int:
            rows = await session.stream_scalars(select(Account.id).order_by(Account.id))
            return len([number async for number in rows])

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    record = await explorer.run(Streams(), Order("alice alice bob alice bob"))
    assert record.outcome.results["alice"].value == 120
    fetches = [step for step in record.trace if step.action.kind is ActionKind.FETCH]
    assert [len(step.result.rows) for step in fetches[:2]] == [20, 20]  # a trace keeps twenty of each
    assert fetches[1].result.rows[0] == ("50",)
    assert await replays(explorer, record)


async def test_a_stream_that_locks_waits_in_its_fetch(explorer):
    class Locks(Many):
        @actor
        async def alice(self, connection) -> int:
            seen = 0
            async with connection.stream(text("SELECT id FROM account ORDER BY id FOR UPDATE")) as rows:
                async for _ in rows:
                    seen += 1
            return seen

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(70))
            await session.commit()

    record = await explorer.run(Locks(), Order("bob alice alice alice bob alice"))
    lines = told(record.trace)
    assert record.trace.steps[3].action.kind is ActionKind.FETCH
    assert record.trace.steps[3].wait.holders == ("bob",)
    assert lines[5].startswith("alice ... fetch")
    assert record.outcome.results["alice"].value == 120
    assert await replays(explorer, record)


async def test_a_preemption_is_a_switch_away_from_a_runnable_actor(explorer):
    class Two(Bank):
        @actor(names=("alice", "bob"))
        async def work(self) -> None:
            await lab.point("a")
            await lab.point("b")

    record = await explorer.run(Two(), Order("alice bob bob alice"))
    assert [step.preempted for step in record.trace] == ["", "alice", "", ""]
    assert record.trace.preemptions == 1
    assert record.trace.context_switches == 2


async def test_every_actor_has_its_own_isolation_level(explorer):
    @dataclass(frozen=True)
    class Levels(Bank):
        @actor
        async def alice(self, session) -> str:
            return await session.scalar(text("SHOW transaction_isolation"))

        @actor(isolation="SERIALIZABLE")
        async def bob(self, sessions) -> list[str]:
            levels = []
            for _ in range(2):
                async with sessions() as session:
                    levels.append(await session.scalar(text("SHOW transaction_isolation")))
            return levels

        @actor
        async def carol(self, engine) -> str:
            async with engine.execution_options(isolation_level="SERIALIZABLE").connect() as connection:
                return await connection.scalar(text("SHOW transaction_isolation"))

    record = await explorer.run(Levels(), Order())
    assert [result.value for result in record.outcome.results.values()] == [
        "read committed",
        ["serializable", "serializable"],
        "serializable",
    ]
    again = await explorer.run(Levels(), Order(), isolation="REPEATABLE READ")
    assert again.outcome.results["alice"].value == "repeatable read"
    assert again.outcome.results["bob"].value[0] == "repeatable read"
