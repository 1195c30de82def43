"""Which waits the lab sees, how it names them, and that waiters wake one at a time."""

from __future__ import annotations

import asyncio

import pytest
from helpers.decided import said
from helpers.kit import Account, Bank, Order, add, lock, replays, told
from sqlalchemy import insert, text

import lab
from lab import actor
from lab.model.outcome import Ending


def _statements(alice, bob):
    """Both run one statement and commit; alice comes first, so bob waits for her."""

    class Two(Bank):
        @actor
        async def alice(self, connection) -> None:
            await connection.execute(text(alice) if isinstance(alice, str) else alice)
            await connection.commit()

        @actor
        async def bob(self, connection) -> None:
            await connection.execute(text(bob) if isinstance(bob, str) else bob)
            await connection.commit()

    return Two()


ROW = "row (0,1) of account"
WAITS = {
    "row": (add(1), add(1), "ShareLock", ROW),
    "row for update": (lock(1), lock(1), "ShareLock", ROW),
    "share then update": (lock(1, "SHARE"), add(1), "ShareLock", ROW),
    "update then share": (add(1), lock(1, "SHARE"), "ShareLock", ROW),
    "key share then delete": (lock(1, "KEY SHARE"), "DELETE FROM account WHERE id = 1", "ShareLock", ROW),
    "delete": ("DELETE FROM account WHERE id = 1", add(1), "ShareLock", ROW),
    "table": ("LOCK TABLE account", add(1), "RowExclusiveLock", "table account"),
    "table after row": (add(1), "LOCK TABLE account", "AccessExclusiveLock", "table account"),
    "table in share mode": (add(1), "LOCK TABLE account IN SHARE MODE", "ShareLock", "table account"),
    "truncate": (add(1), "TRUNCATE account", "AccessExclusiveLock", "table account"),
    "advisory": (
        "SELECT pg_advisory_xact_lock(7)",
        "SELECT pg_advisory_xact_lock(7)",
        "ExclusiveLock",
        "advisory lock 7",
    ),
    "large and negative advisory": (
        "SELECT pg_advisory_xact_lock(-3)",
        "SELECT pg_advisory_xact_lock(-3)",
        "ExclusiveLock",
        "advisory lock -3",
    ),
    "advisory pair": (
        "SELECT pg_advisory_xact_lock(4, -2)",
        "SELECT pg_advisory_xact_lock(4, -2)",
        "ExclusiveLock",
        "advisory lock (4, -2)",
    ),
    "unique index": (
        "INSERT INTO account VALUES (9, 1)",
        "INSERT INTO account VALUES (9, 2)",
        "ShareLock",
        "key of account_pkey",
    ),
    "on conflict": (
        "INSERT INTO account VALUES (9, 1)",
        "INSERT INTO account VALUES (9, 2) ON CONFLICT DO NOTHING",
        "ShareLock",
        "key of account",
    ),
    "index under construction": (add(1), "CREATE INDEX i ON account (balance)", "ShareLock", "table account"),
}


@pytest.mark.parametrize("kind", WAITS)
async def test_a_wait_is_seen_and_names_mode_target_and_holder(explorer, kind):
    alice, bob, mode, target = WAITS[kind]
    record = await explorer.run(_statements(alice, bob), Order("alice bob alice bob"))
    waited = record.trace.steps[1]
    assert waited.wait is not None, told(record.trace)
    assert (waited.wait.holders, waited.wait.mode, waited.wait.target) == (("alice",), mode, target)
    assert told(record.trace)[2] == "alice COMMIT"
    assert record.trace.steps[3].woken
    assert record.outcome.ending is Ending.COMPLETED
    if kind != "index under construction":  # it changes the tables, which are made only once
        assert await replays(explorer, record, times=2)
    else:
        cluster = await explorer.open()
        assert cluster.abilities.frozen
        await explorer.run(_statements("DROP INDEX i", "SELECT 1"), Order())


COMPATIBLE = {
    "two readers": (lock(1, "SHARE"), lock(1, "SHARE")),
    "key share beside a plain update": (lock(1, "KEY SHARE"), add(1)),
    "two rows": (add(1), add(2)),
    "a plain read": (add(1), "SELECT * FROM account"),
    "skip locked": (lock(1), lock(1, "UPDATE SKIP LOCKED")),
    "shared advisory locks": ("SELECT pg_advisory_xact_lock_shared(1)", "SELECT pg_advisory_xact_lock_shared(1)"),
}


@pytest.mark.parametrize("kind", COMPATIBLE)
async def test_what_does_not_wait_is_not_taken_for_waiting(explorer, kind):
    record = await explorer.run(_statements(*COMPATIBLE[kind]), Order("alice bob bob alice"))
    assert not any(step.wait or step.woken for step in record.trace)


async def test_nowait_is_refused_at_once(explorer):
    record = await explorer.run(_statements(lock(1), lock(1, "UPDATE NOWAIT")), Order("alice bob"))
    assert record.outcome.results["bob"].sqlstate == "55P03"
    assert record.outcome.results["bob"].aborted
    assert not record.failed


async def test_a_unique_violation_after_a_wait_is_the_waiters_error(explorer):
    record = await explorer.run(
        _statements("INSERT INTO account VALUES (9, 1)", "INSERT INTO account VALUES (9, 2)"),
        Order("alice bob alice bob"),
    )
    assert record.trace.steps[3].result.error == "23505"
    assert record.outcome.results["bob"].sqlstate == "23505"
    assert record.outcome.rows["account"][-1] == "(9,1)"


async def test_a_session_level_advisory_lock_does_not_outlive_its_execution(explorer):
    scenario = _statements("SELECT pg_advisory_lock(1)", "SELECT pg_try_advisory_lock(1)")
    first = await explorer.run(scenario, Order("alice bob"))
    assert first.trace.steps[1].result.rows == (("False",),)
    alone = await explorer.run(_statements("SELECT 1", "SELECT pg_try_advisory_lock(1)"), Order())
    assert alone.trace.steps[2].result.rows == (("True",),)


class Queue(Bank):
    """Alice holds a row that three others want."""

    @actor
    async def alice(self, session) -> None:
        await session.execute(add(1))
        await session.commit()
        await lab.point("after")

    @actor(names=("bob", "carol", "dave"))
    async def work(self, session) -> None:
        await session.execute(add(1))
        await session.commit()


async def test_waiters_on_one_row_wake_one_at_a_time_and_in_the_order_that_is_chosen(explorer):
    """PostgreSQL lets them queue: one waits for the holder, the others for the place behind."""
    record = await explorer.run(Queue(), Order("alice dave bob carol alice"))
    assert [told(record.trace)[number].endswith("(B)") for number in range(5)] == [False, True, True, True, False]
    granted = said(record.trace.steps[5].alternatives)
    assert set(granted) == {"alice", "dave"}, "only the first in the queue has been granted the row"
    assert record.outcome.rows["account"][0] == "(1,104)"
    assert await replays(explorer, record, times=10)


async def test_waiters_of_one_advisory_lock_can_be_woken_in_either_order(explorer):
    """Several shared locks are granted at once; who goes on first is a decision."""

    class Gate(Bank):
        @actor
        async def alice(self, session) -> None:
            await session.execute(text("SELECT pg_advisory_xact_lock(1)"))
            await session.commit()

        @actor(names=("bob", "carol"))
        async def work(self, session, name) -> None:
            await session.execute(text("SELECT pg_advisory_xact_lock_shared(1)"))
            await session.execute(add(1, 10 if name == "bob" else 1))
            await session.commit()

    for first, second in (("bob", "carol"), ("carol", "bob")):
        record = await explorer.run(Gate(), Order(f"alice bob carol alice {first} {first} {second}"))
        assert set(said(record.trace.steps[4].alternatives)) == {"bob", "carol"}
        assert record.trace.steps[4].woken
        assert record.trace.steps[6].woken
        assert await replays(explorer, record, times=5)


async def test_a_statement_can_wait_twice(explorer):
    """Bob's update of two rows waits for alice, is woken, and then waits for carol."""

    class Twice(Bank):
        @actor(names=("alice", "carol"))
        async def hold(self, session, name) -> None:
            await session.execute(add(1 if name == "alice" else 2))
            await session.commit()

        @actor
        async def bob(self, session) -> None:
            await session.execute(text("UPDATE account SET balance = 0 WHERE id IN (1, 2)"))
            await session.commit()

    record = await explorer.run(Twice(), Order("alice carol bob alice bob carol bob"))
    first, second = record.trace.steps[2], record.trace.steps[4]
    assert (first.wait.holders, first.wait.target) == (("alice",), "row (0,1) of account")
    assert (second.woken, second.wait.holders, second.wait.target) == (True, ("carol",), "row (0,2) of account")
    assert record.trace.steps[6].woken
    assert record.outcome.rows["account"][:2] == ("(1,0)", "(2,0)")
    assert await replays(explorer, record, times=5)


async def test_a_rollback_wakes_a_waiter_too(explorer):
    class Rolls(Bank):
        @actor
        async def alice(self, session) -> None:
            await session.execute(add(1))
            await session.rollback()

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    record = await explorer.run(Rolls(), Order("alice bob alice bob"))
    assert told(record.trace)[2:4] == ["alice ROLLBACK", "bob ... " + told(record.trace)[1][4:-4]]
    assert record.outcome.rows["account"][0] == "(1,101)"


async def test_a_failed_statement_lets_go_of_its_locks(explorer):
    """The error aborts the transaction on the server, so the waiter is granted before any ROLLBACK."""

    class Fails(Bank):
        @actor(allows=("22012",))
        async def alice(self, session) -> None:
            await session.execute(add(1))
            await session.execute(text("SELECT 1 / 0"))

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    record = await explorer.run(Fails(), Order("alice bob alice bob"))
    assert record.trace.steps[3].woken


async def test_a_rollback_to_a_savepoint_wakes_a_waiter(explorer):
    class Saves(Bank):
        @actor
        async def alice(self, session) -> None:
            nested = await session.begin_nested()
            await session.execute(add(1))
            await nested.rollback()
            await lab.point("after")
            await session.commit()

        @actor
        async def bob(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    record = await explorer.run(Saves(), Order("alice alice bob alice bob"))
    assert told(record.trace)[3].startswith("alice ROLLBACK TO")
    assert record.trace.steps[4].woken


async def test_a_foreign_key_check_waits_for_the_parent_and_names_it(explorer):
    class Child(Bank):
        @actor
        async def alice(self, connection) -> None:
            await connection.execute(text("DELETE FROM account WHERE id = 3"))
            await connection.commit()

        @actor
        async def bob(self, connection) -> None:
            await connection.execute(insert(Account).values(id=8, balance=1))
            await connection.execute(text("SELECT balance FROM account WHERE id = 3 FOR KEY SHARE"))
            await connection.commit()

    record = await explorer.run(Child(), Order("alice bob bob alice bob"))
    assert record.trace.steps[2].wait.target == "row (0,3) of account"
    assert record.trace.steps[4].result.tag == "SELECT 0"


async def test_a_deferrable_transaction_waits_for_a_safe_snapshot(explorer):
    """No message tells of this wait; it is asked for."""

    class Safe(Bank):
        @actor
        async def alice(self, engine) -> None:
            async with engine.execution_options(isolation_level="SERIALIZABLE").connect() as connection:
                await connection.execute(add(1))
                await connection.commit()

        @actor
        async def bob(self, engine) -> int:
            options = {
                "isolation_level": "SERIALIZABLE",
                "postgresql_readonly": True,
                "postgresql_deferrable": True,
            }
            async with engine.execution_options(**options).connect() as connection:
                return await connection.scalar(text("SELECT sum(balance) FROM account"))

    record = await explorer.run(Safe(), Order("alice bob alice bob"))
    assert record.trace.steps[1].wait.holders == ("alice",)
    assert record.trace.steps[3].woken
    assert record.outcome.results["bob"].value == 400, "the snapshot is the one it asked for, once that proved safe"
    assert await replays(explorer, record, times=2)


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_above_read_committed_a_waiter_is_refused_when_the_row_was_changed(explorer, isolation):
    class Both(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            await session.execute(add(1))
            await session.commit()

    record = await explorer.run(Both(), Order("alice bob alice bob"), isolation=isolation)
    assert record.outcome.results["bob"].sqlstate == "40001"
    assert record.outcome.results["bob"].aborted
    assert not record.failed
    assert record.outcome.rows["account"][0] == "(1,101)"
    assert await replays(explorer, record, isolation=isolation)


async def test_write_skew_is_refused_only_at_serializable(explorer):
    class Skew(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session, name) -> None:
            await session.execute(text("SELECT sum(balance) FROM account"))
            await session.execute(add(1 if name == "alice" else 2))
            await session.commit()

    order = "alice bob alice bob alice bob"
    for isolation, committed in (("REPEATABLE READ", 2), ("SERIALIZABLE", 1)):
        record = await explorer.run(Skew(), Order(order), isolation=isolation)
        assert len(record.outcome.committed) == committed
        assert await replays(explorer, record, isolation=isolation)


async def test_a_wait_of_an_actors_own_session_for_another_of_its_sessions_is_a_stall(explorer):
    class Itself(Bank):
        @actor
        async def alice(self, sessions) -> None:
            async with sessions() as one, sessions() as two:
                await one.execute(add(1))
                await two.execute(add(1))

        @actor
        async def idle(self) -> None: ...

    record = await explorer.run(Itself(), Order())
    assert record.outcome.ending is Ending.STALLED
    assert record.stalls[0].lock.holders == ("alice",)


async def test_a_wait_while_an_asyncio_lock_changes_hands_is_kept_apart(explorer):
    class Mixed(Bank):
        @actor
        async def alice(self, session) -> None:
            async with guard:
                await session.execute(add(1))
            await session.commit()

        @actor(names=("bob", "carol"))
        async def work(self, session) -> None:
            async with guard:
                await session.execute(add(1))
                await session.commit()

    guard = asyncio.Lock()
    record = await explorer.run(Mixed(), Order("alice bob alice"))
    assert told(record.trace)[1].endswith("(B)")
    assert record.outcome.rows["account"][0] == "(1,103)"
    assert record.outcome.ending is Ending.COMPLETED
    assert await replays(explorer, record, times=5)
