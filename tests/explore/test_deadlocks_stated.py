"""`lab.no_deadlock()`: a deadlock is a violation of its own, whatever the code makes of it. Without, it is an abort."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.kit import Bank, Order, add, replays
from sqlalchemy.exc import DBAPIError

import lab
from lab import actor, invariant
from lab.explore import Conditions
from lab.report.failure import execution_report
from lab.scenario.catalogue import entry
from lab.search.hunt import Hunt
from lab.search.job import Job
from lab.search.remedies.curable import curable

ORDER = "alice bob alice bob"


@dataclass(frozen=True)
class Crossed(Bank):
    """Two transfers lock two rows in opposite order."""

    async def transfer(self, session, source: int, target: int) -> None:
        await session.execute(add(source, -10))
        await session.execute(add(target, 10))
        await session.commit()

    @actor
    async def alice(self, session) -> None:
        await self.transfer(session, 1, 2)

    @actor
    async def bob(self, session) -> None:
        await self.transfer(session, 2, 1)


class Stated(Crossed):
    nobody_waits_in_a_circle = lab.no_deadlock()


class Caught(Stated):
    """Tries again, as people do, and nobody sees it."""

    async def transfer(self, session, source: int, target: int) -> None:
        try:
            await super().transfer(session, source, target)
        except DBAPIError:
            await session.rollback()
            await super().transfer(session, source, target)


class CaughtAndNotStated(Caught):
    nobody_waits_in_a_circle = None

    @invariant
    async def it_ends_well(self, outcome) -> None:
        assert False, "shown"  # noqa: B011, PT015 - the report is wanted


class Ordered(Stated):
    @actor
    async def bob(self, session) -> None:
        await self.transfer(session, 1, 2)


class MustBothCommit(Crossed):
    @invariant
    async def nobody_is_refused(self, outcome) -> None:
        assert len(outcome.committed) == 2


async def test_a_deadlock_is_an_abort_where_nothing_is_stated(explorer):
    assert not (await explorer.run(Crossed(), Order(ORDER))).findings


async def test_a_deadlock_breaks_the_invariant_and_is_the_headline(explorer):
    record = await explorer.run(Stated(), Order(ORDER))
    (finding,) = record.findings
    assert (finding.checker, finding.name) == ("deadlock", "nobody waits in a circle")
    report = execution_report(record)
    assert report.startswith("DEADLOCK  bob waits for alice, alice waits for bob\n")
    assert "test_deadlocks_stated.py:" in report
    assert await replays(explorer, record, 2)


async def test_a_deadlock_that_the_code_caught_breaks_it_and_is_shown(explorer):
    record = await explorer.run(Caught(), Order(f"{ORDER} bob alice alice"))
    assert record.outcome.committed == ("alice", "bob")
    assert [finding.checker for finding in record.findings] == ["deadlock"]
    report = execution_report(await explorer.run(CaughtAndNotStated(), Order(f"{ORDER} bob alice alice")))
    assert report.startswith("DEADLOCK  shown")
    assert "deadlock, each waits for the next:" in report


async def test_a_broken_invariant_beside_a_deadlock_has_it_for_a_headline(explorer):
    report = execution_report(await explorer.run(MustBothCommit(), Order(ORDER)))
    assert report.startswith("DEADLOCK")
    assert 'invariant "nobody is refused"' in report


async def test_one_order_of_locks_keeps_it(explorer):
    result = await Hunt(Ordered(), Job.of(Ordered(), executions=60)).run(explorer)
    assert result.verdict == "pass"


async def test_a_hunt_finds_it_and_remedies_are_tried(explorer):
    job = Job.of(Stated(), executions=100)
    result = await Hunt(Stated(), job).run(explorer)
    (failure,) = result.failures
    assert failure.report.startswith("DEADLOCK")
    assert failure.invariant == "nobody waits in a circle"
    assert curable(job, result) is failure


async def test_serial_equivalence_stays_on_beside_it(explorer):
    assert entry(Stated)["checks"] == ["some serial order gives the same results and rows"]
    assert (await explorer.run(Stated(), Order(ORDER), Conditions())).serial is not None
