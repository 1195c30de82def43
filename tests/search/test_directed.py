"""Directed search: textbook anomalies at once, from what the actors touch when they run alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.kit import Account, Bank, searched
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor
from lab.analysis.dependence import Move
from lab.analysis.predictions import Shape, predictions
from lab.model.footprint import Access, Footprint, Lock, Rows
from lab.model.trace import ActionKind
from lab.scenario.registry import instance_of
from lab.schedulers.directed import Directed
from lab.search.hunt import Hunt

TEXTBOOK = {
    "P4, lost update": "LostUpdateAnomaly",
    "write skew": "WriteSkewAnomaly",
    "read skew": "ReadSkewAnomaly",
    "two-row deadlock": "CoreUpdatesInOppositeOrder",
    "check, then insert": "GetThenCreate",
    "read-only anomaly": "ReadOnlyAnomaly",
}


@pytest.mark.parametrize("anomaly", TEXTBOOK)
async def test_a_textbook_anomaly_is_found_within_three_executions(explorer, anomaly):
    """There is no chance in it, so once is always."""
    scheduler, scenario = Directed(), instance_of(TEXTBOOK[anomaly])
    failed = []
    async for record in searched(explorer, scenario, scheduler):
        failed.append(record.failed)
        if record.failed:
            break
    assert failed[-1], "over, and nothing found"
    assert len(failed) <= 3


async def test_a_prediction_that_breaks_nothing_is_counted_and_not_reported(explorer):
    """Locks in one order: what could close a cycle without them is tried, and that is all."""
    result = await Hunt.of(instance_of("Transfer"), scheduler="directed").run(explorer)
    assert (result.failures, result.exhausted) == ([], True)
    assert 0 < result.came_true <= result.predicted < result.executions


@dataclass(frozen=True)
class Apart(Bank):
    """Two actors that never meet."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        async with session.begin():
            (await session.get_one(Account, 1)).balance += 10

    @actor
    async def ben(self, session: AsyncSession) -> None:
        async with session.begin():
            (await session.get_one(Account, 2)).balance += 10


async def test_actors_that_never_meet_give_nothing_to_predict(explorer):
    """Each goes first once, then it is over."""
    result = await Hunt.of(Apart(), scheduler="directed").run(explorer)
    assert (result.executions, result.predicted, result.exhausted) == (2, 0, True)


def row(number: int) -> Rows:
    return Rows("account", (("id", frozenset({f"int:{number}"})),))


def reads(number: int) -> Move:
    return statement(Access(row(number), reads=True))


def writes(number: int) -> Move:
    return statement(Access(row(number), Lock.NO_KEY_UPDATE, reads=True, writes=True))


def statement(access: Access) -> Move:
    return Move("", ActionKind.STATEMENT, Footprint((access,)))


COMMIT = Move("", ActionKind.COMMIT, Footprint())


@pytest.mark.parametrize(
    ("shape", "programs", "plan"),
    [
        (Shape.LOST_UPDATE, [[reads(1), writes(1)], [reads(1), writes(1)]], (("a", 1), ("b", None), ("a", None))),
        (Shape.WRITE_SKEW, [[reads(1), writes(2)], [reads(2), writes(1)]], (("a", 1), ("b", None), ("a", None))),
        (Shape.READ_SKEW, [[reads(1), reads(2)], [writes(1), writes(2)]], (("a", 1), ("b", None), ("a", None))),
        (
            Shape.LOCK_RING,
            [[writes(1), writes(2)], [writes(2), writes(1)]],
            (("a", 1), ("b", 1), ("a", None), ("b", None)),
        ),
        (
            Shape.LOCK_RING,
            [[writes(1), reads(9), writes(2)], [writes(2), writes(3)], [writes(8), writes(3), writes(1)]],
            (("a", 1), ("b", 1), ("c", 2), ("a", None), ("b", None), ("c", None)),
        ),
        (
            Shape.SPLIT,
            [[writes(1), COMMIT, writes(2)], [reads(1), reads(2)]],
            (("a", 2), ("b", None), ("a", None)),
        ),
    ],
)
def test_a_cycle_is_seen_in_what_programs_touch(shape, programs, plan):
    """A transaction ends with its program, where no COMMIT says so."""
    named = dict(zip("abc", programs, strict=False))
    found = [each for each in predictions(named) if each.shape is shape]
    assert plan in [each.plan for each in found]


@pytest.mark.parametrize(
    "programs",
    [
        [[reads(1), reads(2)], [reads(2), reads(1)]],
        [[writes(1), writes(2)], [writes(1), writes(2)]],
        [[reads(1), COMMIT, writes(3)], [reads(1), writes(1)]],
    ],
    ids=["only reads", "locks in one order", "two transactions that meet once"],
)
def test_no_cycle_is_seen_where_there_can_be_none(programs):
    shapes = {each.shape for each in predictions(dict(zip("ab", programs, strict=True)))}
    assert shapes <= {Shape.GROUND_MOVES}, "waiting in line is tried, for what it waits for may move"
