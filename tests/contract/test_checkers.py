"""What every checker keeps to: one suite over the table, on executions that were recorded on a real server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.kit import Account, Bank, Order, add
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor, invariant, no_deadlock, serializable
from lab.checkers import CHECKERS, Checker, Need, askable, judged, needed, refuse_unknown_checks
from lab.errors import UsageError
from lab.explore import Explorer
from lab.model.history import History
from lab.model.leak import Leak
from lab.model.outcome import Ending, Outcome
from lab.model.record import ExecutionRecord, Failure, Finding, Sharing, Stall
from lab.model.table import Table
from lab.model.trace import Trace
from lab.report.failure import execution_report, failure_report
from lab.report.headline import NOT_A_RACE
from lab.schedulers import make_scheduler
from scenarios import constraints, deadlock, isolation, transfer


class Lost(Bank):
    """Loses an update, and says so in both ways there are."""

    async def _raise(self, session: AsyncSession) -> None:
        account = await session.get_one(Account, 1)
        account.balance += 10
        await session.commit()

    @actor
    async def alice(self, session: AsyncSession) -> None:
        await self._raise(session)

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await self._raise(session)

    @invariant
    async def both_count(self, session: AsyncSession) -> None:
        assert await session.scalar(select(Account.balance).where(Account.id == 1)) == 120

    some_order = serializable()


class Raises(Bank):
    """Ends with an error that nobody expects."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await session.execute(add(1))
        raise ZeroDivisionError("by itself")


class Circle(Bank):
    """Two rows in opposite order, which its author does not want."""

    async def _both(self, session: AsyncSession, first: int, second: int) -> None:
        await session.execute(add(first))
        await session.execute(add(second))
        await session.commit()

    @actor
    async def alice(self, session: AsyncSession) -> None:
        await self._both(session, 1, 2)

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await self._both(session, 2, 1)

    no_circle = no_deadlock()


class GivesUp(Bank):
    """Alice says that she survives what the server refuses, and does not."""

    @actor(survives=("40001",))
    async def alice(self, session: AsyncSession) -> None:
        await session.execute(add(1))

    @actor
    async def bob(self, session: AsyncSession) -> None:
        await session.execute(add(2))


SCENARIOS = (
    Lost(),
    Raises(),
    constraints.NameCheckedByTheApplication(),
    deadlock.CoreUpdatesInOppositeOrder(),
    isolation.ReadSkewAnomaly(),
    isolation.WriteSkewAnomaly(),
    transfer.Transfer(),
)


async def executed(explorer: Explorer, scenario, scheduler, number: int) -> ExecutionRecord:
    asked = tuple(askable())
    return await explorer.run(scenario, scheduler, execution=number, recorded=True, checks=asked)


@pytest.fixture(scope="module")
async def records(explorer: Explorer) -> list[ExecutionRecord]:
    """Serial and random executions, with history and serial runs; then some that were changed by hand."""
    found = []
    for scenario in SCENARIOS:
        for scheduler in (make_scheduler("serial", 0), make_scheduler("random", 1)):
            found += [await executed(explorer, scenario, scheduler, number) for number in range(2)]
    lost = await explorer.run(Lost(), Order("alice bob bob bob alice alice"), recorded=True)
    found.append(await explorer.run(GivesUp(), Order("serialization-failure@alice alice"), recorded=True))
    found.append(await explorer.run(Circle(), Order("alice bob alice bob"), recorded=True))
    assert isinstance(lost.history, History)
    promised = tuple(replace(each, level="SERIALIZABLE") for each in lost.history.transactions)
    found += [
        lost,
        replace(lost, history=replace(lost.history, transactions=promised)),
        replace(lost, history=None, serial=None, anomalies=()),
        replace(lost, outcome=Outcome(Ending.STALLED, {}), stalls=(Stall("alice", "app.py:1: lock"),), broken=()),
        replace(lost, sharings=(Sharing("AsyncSession", "alice/1", "app.py:1: a", "alice/2", "app.py:2: b"),)),
        replace(lost, leaks=(Leak("alice", "session", pool="QueuePool (size 5)", in_transaction=True),)),
        replace(lost, outcome=Outcome(Ending.STEP_LIMIT, {}), trace=Trace((), ("alice", "bob")), broken=()),
    ]
    return found


@pytest.fixture(params=sorted(CHECKERS))
def checker(request) -> Checker:
    return CHECKERS[request.param]


def test_it_never_raises_and_says_the_same_each_time(checker, records):
    """Also on an execution that lacks what it needs; and it leaves the record as it is."""
    for record in records:
        first = tuple(checker.check(record))
        assert tuple(checker.check(record)) == first
        if not all(need.met_by(record) for need in checker.needs):
            assert first == ()


def test_each_finding_is_named_and_says_what_happened(checker, records):
    """And every checker objects to some execution here, so that the suite means something."""
    found = [finding for record in records for finding in checker.check(record)]
    assert found
    for finding in found:
        assert finding.checker == checker.name
        assert finding.name.strip() == finding.name != ""
        assert finding.message.strip() == finding.message != ""


def test_it_does_not_object_to_serial_executions_of_a_right_scenario(checker, records):
    right = [each for each in records if isinstance(each.scenario, transfer.Transfer) and not each.trace.overlapping]
    assert right
    assert not [finding for record in right for finding in checker.check(record)]


def test_its_words_fit_where_they_are_shown(checker):
    """The headline in capitals; the help begins small and has no full stop, since the command line joins several."""
    assert checker.headline == checker.headline.upper().strip() != ""
    assert checker.help == checker.help.strip(" .")
    assert checker.help[:1] == checker.help[:1].lower()
    assert checker.help or not checker.waits_to_be_asked, "nobody could ever ask for it"


def test_the_message_begins_with_its_headline(checker, records):
    """But for what explains the finding: an anomaly or a deadlock; and behind the line that says it is no race."""
    for record in records:
        if findings := tuple(checker.check(record)):
            shown = replace(record, findings=findings, anomalies=(), history=None, deadlocks=())
            assert execution_report(shown).removeprefix(f"{NOT_A_RACE}\n").startswith(f"{checker.headline}  ")
            assert f"\n\nReplay   lab replay lab1:…{' --check' * checker.must_be_asked(record.scenario)}" in (
                failure_report(Failure(shown, "lab1:…", shown))
            )


def test_an_execution_has_the_findings_of_every_checker_whose_needs_it_meets(records):
    for record in records:
        wanted = [each for each in CHECKERS.values() if each.judges(record, ())]
        assert judged(record).findings == tuple(finding for each in wanted for finding in each.check(record))


def test_asking_for_a_check_asks_for_what_it_needs():
    assert needed(()) == frozenset()
    assert needed(("isolation",)) == {Need.HISTORY}
    assert needed(("isolation", "serial")) == {Need.HISTORY, Need.SERIAL_RUNS}
    refuse_unknown_checks(askable())
    for name in ("sereal", "invariant", ""):
        with pytest.raises(UsageError, match=f"unknown check '{name}'; known are isolation, serial"):
            refuse_unknown_checks([name])


def test_one_that_waits_to_be_asked_judges_only_then(records):
    waiting = replace(CHECKERS["stall"], help="somebody can always go on", waits_to_be_asked=True)
    assert not any(waiting.judges(record, ()) for record in records)
    assert all(waiting.judges(record, ("stall",)) for record in records)
    assert waiting.must_be_asked(Lost())


def test_a_finding_of_a_checker_that_the_lab_does_not_ship_is_reported_in_its_own_words(records):
    """Its name is the headline; nothing else is known of it."""
    foreign = Finding("row_count", "three rows stay", "there are two")
    record = replace(records[0], findings=(foreign,))
    for report in (execution_report(record), failure_report(Failure(record, "lab1:…", record))):
        assert report.startswith('ROW COUNT  there are two\nexpected "three rows stay"\nscenario ')
    assert failure_report(Failure(record, "lab1:…", record)).endswith("Replay   lab replay lab1:…")


def test_a_table_refuses_what_is_no_checker_and_a_name_that_is_taken():
    with pytest.raises(TypeError, match=r"lab\.checkers\.checker\.CHECKER must be a Checker, but is None"):
        len(Table(Checker, "CHECKER", "lab.checkers.checker"))
    with pytest.raises(ValueError, match=r"lab\.checkers\.stalls is the second Checker named 'stall'"):
        len(Table(Checker, "CHECKER", "lab.checkers.stalls", "lab.checkers.stalls"))
