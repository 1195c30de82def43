"""At SERIALIZABLE a result that no serial order gives is the database's fault, where nothing else can be."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.kit import Order
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, select, text

from lab import Scenario, actor, invariant
from lab.explore import Conditions, blame
from lab.explore.shared_state import shares_state
from lab.report.failure import execution_report
from lab.search.hunt import Hunt
from lab.search.job import Job
from lab.search.remedies.curable import curable

METADATA = MetaData()
A = Table("a", METADATA, Column("id", Integer, primary_key=True, autoincrement=False), Column("n", Integer))
B = Table("b", METADATA, Column("id", Integer, primary_key=True, autoincrement=False))
C = Table("c", METADATA, Column("id", Integer, primary_key=True))
NOTED: dict[str, int] = {}

ORDER = "first second second second first first"
"""The INSERT that finds its row, then all of the second, then the rest."""


@dataclass(frozen=True)
class LetThrough(Scenario):
    """PostgreSQL 15 to 18 do not notice that an INSERT … ON CONFLICT DO NOTHING has read the row that it met."""

    metadata = METADATA
    isolation = "SERIALIZABLE"

    async def setup(self, session):
        await session.execute(insert(A).values(id=1, n=0))

    @actor
    async def first(self, session):
        await session.execute(text("INSERT INTO a VALUES (1, 0) ON CONFLICT DO NOTHING"))
        await session.execute(insert(B).values(id=1))
        await session.commit()

    @actor
    async def second(self, session):
        seen = await session.scalar(select(func.count()).select_from(B))
        await session.execute(text("DELETE FROM a WHERE id = 1"))
        await session.commit()
        return seen


class WithAnInvariant(LetThrough):
    @invariant
    async def a_row_or_nothing_counted(self, session, outcome):
        rows = await session.scalar(select(func.count()).select_from(A))
        assert rows or outcome.results["second"].value


class Weaker(LetThrough):
    isolation = "REPEATABLE READ"


class OneIsWeaker(LetThrough):
    @actor(isolation="READ COMMITTED")
    async def second(self, session):
        return await super().second(session)


class TwoTransactions(LetThrough):
    @actor
    async def second(self, session):
        seen = await session.scalar(select(func.count()).select_from(B))
        await session.commit()
        await session.execute(text("DELETE FROM a WHERE id = 1"))
        await session.commit()
        return seen


class SetsTheLevelItself(LetThrough):
    @actor
    async def second(self, session):
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        return await super().second(session)


class KeepsANoteInTheProcess(LetThrough):
    @actor
    async def second(self, session):
        seen = await super().second(session)
        NOTED["seen"] = seen
        return seen


class DrawsFromASequence(LetThrough):
    @actor
    async def first(self, session):
        await session.execute(insert(C).values())
        await super().first(session)


class TakesAnAdvisoryLock(LetThrough):
    @actor
    async def second(self, session):
        await session.scalar(select(func.pg_try_advisory_xact_lock(1)))
        return await super().second(session)


class RollsBack(LetThrough):
    @actor
    async def first(self, session):
        await session.execute(text("INSERT INTO a VALUES (1, 0) ON CONFLICT DO NOTHING"))
        await session.execute(insert(B).values(id=1))
        await session.rollback()


async def test_a_result_that_no_serial_order_gives_is_a_finding_about_the_database(explorer):
    record = await explorer.run(LetThrough(), Order(ORDER), recorded=True)
    assert record.database_fault is not None
    report = execution_report(record)
    assert report.startswith("ISOLATION BROKEN BY THE DATABASE")
    assert "a finding about the database" in report


async def test_the_isolation_check_finds_it_where_nobody_asks_for_serial_runs(explorer):
    record = await explorer.run(WithAnInvariant(), Order(ORDER), checks=("isolation",))
    assert record.findings[0].checker == "isolation"
    assert record.serial is None
    assert execution_report(record).startswith("ISOLATION BROKEN BY THE DATABASE")


@pytest.mark.parametrize(
    ("scenario", "order"),
    [
        (Weaker, ORDER),
        (OneIsWeaker, ORDER),
        (TwoTransactions, "first second second second second first first"),
        (SetsTheLevelItself, "first second second second second first first"),
        (KeepsANoteInTheProcess, ORDER),
        (DrawsFromASequence, "first first second second second first first"),
        (TakesAnAdvisoryLock, "first second second second second first first"),
        (RollsBack, ORDER),
    ],
)
async def test_nothing_is_said_where_something_else_may_be_at_fault(explorer, scenario, order):
    record = await explorer.run(scenario(), Order(order), recorded=True)
    assert record.database_fault is None
    asked = await explorer.run(scenario(), Order(order), checks=("isolation",))
    assert "isolation" not in {finding.checker for finding in asked.findings}


class HearsInTheProcess(KeepsANoteInTheProcess):
    @actor
    async def first(self, session):
        await super().first(session)
        return NOTED.pop("seen", None)


def test_a_collection_or_an_object_that_actors_name_is_state_and_a_table_is_none():
    assert not shares_state(LetThrough(), "first")
    assert shares_state(KeepsANoteInTheProcess(), "second")


async def test_an_actor_that_ends_otherwise_after_the_same_answers_rests_on_more_than_the_database(
    explorer, monkeypatch
):
    monkeypatch.setattr(blame, "shares_state", lambda *_: False)
    record = await explorer.run(HearsInTheProcess(), Order(ORDER), recorded=True)
    assert record.serial.differences
    assert record.database_fault is None
    record = await explorer.run(KeepsANoteInTheProcess(), Order(ORDER), recorded=True)
    assert record.database_fault is not None  # the note is heard by nobody


async def test_a_hunt_reports_it_as_such_and_has_no_remedy(explorer):
    job = Job.of(LetThrough(), executions=20, conditions=Conditions())
    result = await Hunt(LetThrough(), job).run(explorer)
    (failure,) = result.failures
    assert failure.about_database
    assert failure.shown()["about_database"] is True
    assert result.verdict == "fail"
    assert "ISOLATION BROKEN BY THE DATABASE" in failure.report
    assert curable(job, result) is None
