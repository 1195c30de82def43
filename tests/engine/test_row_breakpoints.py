"""Row-lock breakpoints on a real server: a statement pauses between two rows, and nothing else changes."""

from __future__ import annotations

import pytest
from helpers.decided import said
from helpers.kit import Account, Bank, Order, replays, searched
from sqlalchemy import delete, func, select, text, update

from lab import actor, invariant
from lab.explore import Conditions
from lab.model.decision import Pause
from lab.model.outcome import Ending
from lab.model.replay_token import decode
from lab.scenario.declare import planted_bug_of
from lab.schedulers import DEFAULT, make_scheduler
from lab.search.hunt import Hunt
from lab.shrink.minimise import minimise
from lab.shrink.replays import replay_times
from scenarios.deadlock import PriceLists, PriceListsInOrderOfTheFile

BREAKPOINT = "a breakpoint"
SOME = Account.balance >= 0
RAISED = update(Account).where(SOME).values(balance=Account.balance + 1)


def transaction(*statements, level=None):
    """An actor that executes statements and commits."""

    async def body(self, session) -> None:
        if level:
            await session.connection(execution_options={"isolation_level": level})
        for each in statements:
            await session.execute(text(each) if isinstance(each, str) else each)
        await session.commit()

    return actor(body)


def bank(**actors):
    """These actors, and one who is in nobody's way: a schedule needs two."""
    return type("Actors", (Bank,), {**actors, "zoe": transaction("SELECT 1")})()


def paused(record):
    return [step for step in record.trace if isinstance(step.chosen, Pause) and step.wait]


def offered(record, step=1):
    return [each for each in said(record.trace.steps[step - 1].alternatives) if "@" in each]


async def test_a_statement_pauses_between_two_rows_and_goes_on_when_it_is_woken(explorer):
    scenario = bank(alice=transaction(RAISED), bob=transaction(RAISED))
    record = await explorer.run(scenario, Order("pause3@alice bob alice alice bob bob"))
    first, waits, woken, *_ = record.trace
    assert first.wait.holders == (BREAKPOINT,)
    assert first.wait.target == "after row id=2, before row id=3 of account"
    assert waits.wait.holders == ("alice",)
    assert woken.woken
    assert woken.wait is None
    assert record.trace.preemptions == 1
    assert record.outcome.ending is Ending.COMPLETED
    assert record.outcome.rows["account"] == tuple(f"({number},102)" for number in (1, 2, 3, 4))
    assert await replays(explorer, record)


async def test_while_a_statement_pauses_its_row_is_anybodys(explorer):
    """The lab has let go of the row before anyone else runs: bob takes it, and alice waits for him then."""
    one = update(Account).where(Account.id == 3).values(balance=0)
    scenario = bank(alice=transaction(RAISED), bob=transaction(one))
    record = await explorer.run(scenario, Order("pause3@alice bob alice bob alice alice"))
    waits = [step.wait and step.wait.holders for step in record.trace if step.actor != "zoe"]
    assert waits == [(BREAKPOINT,), None, ("bob",), None, None, None]
    assert record.outcome.rows["account"] == ("(1,101)", "(2,101)", "(3,1)", "(4,101)")
    assert await replays(explorer, record)


async def test_rows_are_counted_in_the_order_in_which_the_statement_locks_them(explorer):
    downwards = select(Account.id).where(SOME).order_by(Account.id.desc()).with_for_update()
    record = await explorer.run(bank(alice=transaction(downwards)), Order("pause2@alice"))
    assert paused(record)[0].wait.target == "after row id=4, before row id=3 of account"


@pytest.mark.parametrize(
    "statement", [RAISED, delete(Account).where(SOME), select(Account).where(SOME).with_for_update(read=True)]
)
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
async def test_updates_deletes_and_locking_selects_pause_and_do_the_same_as_without(explorer, statement, level):
    scenario = bank(alice=transaction(statement))
    alone = await explorer.run(scenario, Order(), isolation=level)
    record = await explorer.run(scenario, Order("pause2@alice"), isolation=level)
    assert len(paused(record)) == 1
    assert len(record.trace) == len(alone.trace) + 1
    assert record.outcome == alone.outcome


async def test_at_most_three_breakpoints_are_offered_for_a_statement_and_two_are_set_in_an_execution(explorer):
    scenario = bank(alice=transaction(RAISED, RAISED, RAISED))
    record = await explorer.run(scenario, Order("pause2@alice alice"))
    assert offered(record) == ["pause2@alice", "pause3@alice", "pause4@alice"]
    assert not offered(record, 3), "alice holds all rows by now, so nothing would stop her"
    scenario = bank(**{name: transaction(RAISED) for name in ("alice", "bob", "carol")})
    record = await explorer.run(scenario, Order("pause2@alice alice alice pause2@bob bob bob"))
    assert record.trace.breakpoints == 2
    assert not offered(record, 7)


@pytest.mark.parametrize(
    "statements",
    {
        "by key": [update(Account).where(Account.id == 1).values(balance=1)],
        "by key, among other things": [delete(Account).where(SOME, Account.id == 1)],
        "one row": [update(Account).where(Account.id < 2).values(balance=1)],
        "a plain read": [select(Account).where(SOME)],
        "limited": [select(Account).where(SOME).limit(3).with_for_update()],
        "NOWAIT": [select(Account).where(SOME).with_for_update(nowait=True)],
        "SKIP LOCKED": [select(Account).where(SOME).with_for_update(skip_locked=True)],
        "a timer": ["SET LOCAL lock_timeout = '1min'", RAISED],
        "the table is locked": ["LOCK TABLE account IN ACCESS EXCLUSIVE MODE", RAISED],
        "own rows": [select(Account.id).with_for_update(), RAISED],
    }.items(),
    ids=lambda item: item[0],
)
async def test_what_touches_one_row_or_would_notice_is_not_offered_a_breakpoint(explorer, statements):
    statements = statements[1]
    record = await explorer.run(bank(alice=transaction(*statements)), Order())
    assert record.outcome.committed == ("alice", "zoe")
    assert not offered(record, len(statements))


@pytest.mark.parametrize("condition", [func.pg_try_advisory_xact_lock(Account.id), text("balance > 0")])
async def test_what_is_not_understood_is_offered_breakpoints_where_it_was_seen(explorer, condition):
    """A query for its rows might have effects; a serial run shows them."""
    record = await explorer.run(bank(alice=transaction(RAISED.where(condition))), Order())
    assert offered(record) == ["pause2@alice", "pause3@alice", "pause4@alice"]


async def test_serializable_transactions_are_offered_none_however_they_became_it(explorer):
    record = await explorer.run(bank(alice=transaction(RAISED)), Order(), isolation="SERIALIZABLE")
    assert not offered(record)
    record = await explorer.run(bank(alice=transaction(RAISED, level="SERIALIZABLE")), Order())
    assert not offered(record)


async def test_rows_behind_one_that_somebody_holds_are_not_offered(explorer):
    """Alice would wait for bob at row 3, whatever the lab does to row 4."""
    third = update(Account).where(Account.id == 3).values(balance=0)
    record = await explorer.run(bank(alice=transaction(RAISED), bob=transaction(third)), Order("bob"))
    assert offered(record) == ["pause2@alice", "pause3@alice", "pause4@alice"]
    assert offered(record, 2) == ["pause2@alice"]


async def test_breakpoints_can_be_switched_off(explorer):
    scenario = bank(alice=transaction(RAISED))
    assert offered(await explorer.run(scenario, Order()))
    assert not offered(await explorer.run(scenario, Order(), breakpoints=False))
    assert not offered(await explorer.run(type("Off", (type(scenario),), {"breakpoints": False})(), Order()))


async def test_a_paused_actor_can_be_killed_and_cancelled(explorer):
    scenario = type("Struck", (Bank,), {"alice": transaction(RAISED), "bob": transaction(RAISED)})
    scenario.faults = ("kill", "cancel")
    for fault in ("kill@alice", "cancel@alice"):
        record = await explorer.run(scenario(), Order(f"pause3@alice {fault}"))
        assert record.outcome.committed == ("bob",)
        assert record.outcome.rows["account"] == tuple(f"({number},101)" for number in (1, 2, 3, 4))
        assert await replays(explorer, record)


async def test_breakpoints_work_again_after_the_server_crashed(explorer):
    scenario = type("Crashed", (Bank,), {"alice": transaction(RAISED), "bob": transaction(RAISED)})
    scenario.faults = ("crash",)
    record = await explorer.run(scenario(), Order("pause3@alice crash@server"))
    assert record.outcome.committed == ()
    again = await explorer.run(scenario(), Order("pause2@bob"))
    assert len(paused(again)) == 1
    assert again.outcome.committed == ("alice", "bob")


@pytest.mark.parametrize(("breakpoints", "verdict"), [(False, "pass"), (True, "fail")])
async def test_only_breakpoints_reach_the_deadlock_of_two_bulk_updates(explorer, breakpoints, verdict):
    """Exhaustive search without them proves that there is no other way to it."""
    hunt = Hunt.of(
        PriceListsInOrderOfTheFile(), scheduler="dpor", executions=100, conditions=Conditions(breakpoints=breakpoints)
    )
    result = await hunt.run(explorer)
    assert (result.verdict, result.exhausted) == (verdict, not breakpoints)


async def test_locking_the_rows_in_order_first_cures_it(explorer):
    result = await Hunt.of(PriceLists(), scheduler="dpor", executions=100).run(explorer)
    assert (result.verdict, result.exhausted) == ("pass", True)


async def test_the_deadlock_of_two_bulk_updates_replays_a_hundred_times(explorer):
    schedule = decode(planted_bug_of(PriceListsInOrderOfTheFile).token).schedule
    replays = await replay_times(explorer, PriceListsInOrderOfTheFile(), schedule, Conditions(), times=100)
    assert (replays.identical, replays.verdict) == (100, "fail"), replays.divergence


async def test_a_breakpoint_that_nobody_needs_is_minimised_away(explorer):
    """Two opposite orders of single rows deadlock without; every breakpoint goes, as every fault would."""
    up = [update(Account).where(Account.id == number).values(balance=0) for number in (1, 2)]

    class Opposite(Bank):
        alice = transaction(*up)
        bob = transaction(*reversed(up))
        carol = transaction(RAISED)

        @invariant
        async def nobody_is_refused(self, outcome) -> None:
            assert outcome.ending is not Ending.DEADLOCKED

    found = await explorer.run(Opposite(), Order("pause2@carol carol carol alice bob alice bob"))
    assert found.failed
    assert found.trace.breakpoints == 1

    async def run(scheduler):
        return await explorer.run(Opposite(), scheduler)

    smallest = (await minimise(found, run)).record
    assert smallest.failed
    assert (smallest.trace.breakpoints, smallest.trace.preemptions) == (0, 1)


async def test_the_default_finds_the_deadlock_of_two_bulk_updates_within_a_hundred_executions(explorer):
    """Half of the paused first steps lead to it, so a sample does with chance 0.075 or more: 0.925**100 < 5e-4."""
    scheduler = make_scheduler(DEFAULT, 1)
    endings = []
    async for record in searched(explorer, PriceListsInOrderOfTheFile(), scheduler):
        endings.append(record.outcome.ending)
        if record.outcome.ending is Ending.DEADLOCKED or len(endings) == 100:
            break
    assert endings[-1] is Ending.DEADLOCKED
