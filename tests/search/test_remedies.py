"""Remedies: for each kind of race the lab names one that helps and one that does not, as it ran them."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from helpers.kit import Account, Bank, add
from helpers.lab_program import lab_each
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from lab import actor, invariant
from lab.analysis.facts import Facts
from lab.analysis.tally import HuntResult
from lab.engine.gate import current_actor
from lab.explore import Conditions
from lab.model.outcome import Outcome
from lab.model.record import ExecutionRecord
from lab.model.remedy import NO_TIME, UNLESS_STARVED, Price, Remedies, Remedy, Tried
from lab.model.replay_token import decode
from lab.report.remedies import remedy_lines
from lab.scenario.registry import instance_of
from lab.schedulers import DEFAULT
from lab.schedulers.guided import Wished
from lab.search.job import Job
from lab.search.remedies import REMEDIES, trials
from lab.search.remedies.curable import curable
from lab.search.remedies.searched import Searched, search
from lab.search.remedies.trials import try_remedies
from lab.search.workers import perform
from lab.shrink.replays import replay_times

FEW = 12
ENOUGH = 20
"""Executions in which every failure of `CASES` is frequent enough for a verdict on a remedy."""
REPEATABLE_READ, SERIALIZABLE = "REPEATABLE READ with a retry loop", "SERIALIZABLE with a retry loop"
RETRY = "a retry loop alone"
HERE = __name__
PRICE_LISTS = "scenarios.deadlock:PriceListsInOrderOfTheFile"
STILL = "the schedule that failed still fails: "
CODE, TABLES = "needs a change of the code", "needs a change of the tables"


def reads(table: str) -> str:
    return f"SELECT … FOR UPDATE on {table}"


def folded(table: str) -> str:
    return f"rows of {table} locked FOR UPDATE before they are read"


def order(table: str) -> str:
    return f"rows of {table} locked first, by key"


def silent(name: str, done: int) -> None:
    pass


async def tried(explorer, target: str, *, scheduler: str = DEFAULT, executions: int = FEW, **options: Any) -> Remedies:
    job = Job(target, scheduler, executions, **options)
    result = (await perform(explorer, job)).result
    failure = curable(job, result)
    assert failure is not None, result
    return await try_remedies(explorer, job, failure, silent)


_known: dict[str, Remedies] = {}
"""What was tried for a scenario as it is; a function of the scenario, so several tests may look at one try."""


async def tried_once(explorer, target: str) -> Remedies:
    if target not in _known:
        _known[target] = await tried(explorer, target, executions=ENOUGH)
    return _known[target]


def by_verdict(remedies: Remedies) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in remedies.tried:
        found.setdefault(each.verdict, []).append(each.name)
    return found


def price_of(remedies: Remedies, name: str) -> Price:
    (found,) = (each.price for each in remedies.tried if each.name == name)
    assert found is not None
    return found


VERSION, ATOMIC = (
    "a version check on {} (version_id_col)",
    "an atomic UPDATE … SET x = x + … (checks in its WHERE) on {}",
)
UNIQUE_KEY, ADVISORY = "a unique key or an exclusion constraint on {}", "pg_advisory_xact_lock before looking at {}"
LOST = {"not run": [VERSION.format("account"), ATOMIC.format("account")]}
SKEW = {"pass": [SERIALIZABLE], "fail": [RETRY, REPEATABLE_READ]}
PIECEMEAL = {"pass": [reads("account"), REPEATABLE_READ, SERIALIZABLE], "fail": [RETRY]}
CHECKED = {"pass": [SERIALIZABLE]}
LOOPS = [RETRY, REPEATABLE_READ, SERIALIZABLE]
CASES = {
    "transfer:LostUpdate": {
        "pass": [reads("account"), order("account"), REPEATABLE_READ, SERIALIZABLE],
        "fail": [RETRY],
        **LOST,
    },
    "isolation:LostUpdateAnomaly": {"pass": [reads("account"), REPEATABLE_READ, SERIALIZABLE], "fail": [RETRY], **LOST},
    "last_admin:CountsAdminsWithoutLock": {**SKEW, "pass": [reads("member"), SERIALIZABLE]},
    "isolation:WriteSkewAnomaly": {**SKEW, "pass": [folded("account"), SERIALIZABLE]},
    "isolation:ReadSkewAnomaly": {**PIECEMEAL, "not run": ["all reads of reader in one statement"]},
    "isolation:ReportAtReadCommitted": {**PIECEMEAL, "not run": ["all reads of report in one statement"]},
    **{
        f"{name}": {
            "pass": [*parent, SERIALIZABLE],
            "fail": [reads(table), RETRY, REPEATABLE_READ],
            "not run": [UNIQUE_KEY.format(table), ADVISORY.format(table)],
        }
        for name, table, parent in (
            ("constraints:NameCheckedByTheApplication", "loose_member", ()),
            ("idempotency:KeySelectedThenInserted", "charge", ()),
            ("booking:BookedWithoutLock", "booking", ("parent row in room locked FOR UPDATE first",)),
        )
    },
    # A loop that comes back at once can be refused again and again, until its attempts are spent; a pause cures that.
    **{
        f"deadlock:{name}": {
            "pass": [order("counter")],
            UNLESS_STARVED: LOOPS,
            "fail": ["SERIALIZABLE without a retry loop"],
        }
        for name in ("CoreUpdatesInOppositeOrder", "OrmUpdatesInOppositeOrder")
    },
}


SAMPLE = (
    "transfer:LostUpdate",
    "isolation:WriteSkewAnomaly",
    "isolation:ReadSkewAnomaly",
    "booking:BookedWithoutLock",
    "deadlock:CoreUpdatesInOppositeOrder",
)
"""One of each kind; the others are of the same kinds."""


@pytest.mark.parametrize(
    "name", [each if each in SAMPLE else pytest.param(each, marks=pytest.mark.long) for each in CASES]
)
async def test_the_lab_names_a_fix_that_passes_and_one_that_does_not_help(explorer, name):
    """Lost update, write skew, read skew, check then insert, deadlock: what helps, what does not, what was not run."""
    remedies = await tried_once(explorer, f"scenarios.{name}")
    assert by_verdict(remedies) == CASES[name]
    assert remedies.broken >= 1
    for each in remedies.tried:
        ran = each.verdict != "not run"
        assert (each.price is not None) is ran
        assert (each.verdict == "fail") == each.reason.startswith(STILL)
        assert (each.verdict == UNLESS_STARVED) == each.reason.startswith(
            "without a pause, 10 attempts can be in vain: "
        )
        assert ran or each.reason in (CODE, TABLES)
        if each.price is not None:
            assert 0 < each.price.executions <= 1 + 2 * ENOUGH
            assert each.price.times is not None
            assert 0.05 < each.price.times < 50


async def test_prices_are_counted(explorer):
    """Locks wait and refuse nobody here, a level refuses; attempts that were made again are counted."""
    remedies = await tried_once(explorer, "scenarios.isolation:LostUpdateAnomaly")
    assert not remedies.unfixed.aborts
    locked, level = price_of(remedies, reads("account")), price_of(remedies, REPEATABLE_READ)
    assert not locked.aborts
    assert locked.lock_waits > remedies.unfixed.lock_waits > 0
    assert level.aborts.keys() == {"40001"}
    assert 0.3 < level.aborts["40001"] / level.executions < 1


async def test_the_same_remedies_come_each_time(explorer):
    """All but the time is a function of the seed."""

    def told(remedies: Remedies) -> Any:
        values = remedies.dump()
        for price in (values["unfixed"], *(each["price"] for each in values["remedies"] if each["price"])):
            del price["milliseconds"], price["times"]
        return json.loads(json.dumps(values))

    first = told(await tried_once(explorer, "scenarios.isolation:LostUpdateAnomaly"))
    assert told(await tried(explorer, "scenarios.isolation:LostUpdateAnomaly", executions=ENOUGH)) == first


# ------------------------------------------------------------------------------------------ what a verdict needs


@pytest.mark.parametrize(
    ("name", "anomaly", "advised"),
    [
        ("transfer:LostUpdate", "P4", LOST["not run"]),
        ("transfer:LostUpdate", "G2-item", []),
        ("isolation:ReadSkewAnomaly", "G-single", ["all reads of reader in one statement"]),
        ("isolation:ReadSkewAnomaly", "P4", []),
        ("isolation:WriteSkewAnomaly", None, []),  # its UPDATE is atomic, and each writes a row of its own
        ("constraints:WithdrawalCheckedByTheApplication", None, []),  # one row, but by an atomic UPDATE
        ("booking:BookedWithoutLock", "G2", [UNIQUE_KEY.format("booking"), ADVISORY.format("booking")]),
        ("transfer:TwoTransactions", None, ["one transaction for all writes of alice and bob"]),
        ("deadlock:AdvisoryLocksInOppositeOrder", None, ["advisory locks taken in the order of their keys"]),
    ],
)
async def test_advice_fits_the_anomaly_and_the_statements(explorer, name, anomaly, advised):
    """What cannot be run is suggested only where it fits what was found."""
    record = await failing(explorer, f"scenarios.{name}")
    facts = Facts(record, anomaly=anomaly)
    assert [each.name for kind in REMEDIES.values() for each in kind.advises(facts)] == advised


_found: dict[str, HuntResult] = {}
"""The hunt for a scenario as it is, which several tests may look at."""


async def found(explorer, target: str) -> HuntResult:
    if target not in _found:
        _found[target] = (await perform(explorer, Job(target, DEFAULT, 100))).result
    return _found[target]


async def failing(explorer, target: str) -> ExecutionRecord:
    """The smallest failing execution."""
    schedule = decode((await found(explorer, target)).failures[0].token).schedule
    record = (await replay_times(explorer, instance_of(target), schedule, Conditions(), 1)).record
    assert record is not None
    return record


async def test_a_pause_that_the_lab_makes_is_no_price(explorer):
    """Lock waits count actors that wait for each other, not the breakpoint that holds one of them."""
    record = await failing(explorer, PRICE_LISTS)
    waits = [step.wait for step in record.trace if step.wait is not None]
    assert len(waits) == 1 + record.lock_waits == 2


async def test_a_failure_inside_a_statement_is_not_said_to_be_cured_where_the_lab_cannot_pause(explorer, monkeypatch):
    """At SERIALIZABLE no statement is paused between two rows, so a deadlock there could not have been met."""
    monkeypatch.setattr(trials, "kinds_against", lambda checker: [REMEDIES["level"]])  # no other one is looked at
    job = Job(PRICE_LISTS, DEFAULT, 5 * FEW)  # a statement may pause before its first row, too
    failure = curable(job, await found(explorer, PRICE_LISTS))
    assert failure is not None
    tried = {each.name: each for each in (await try_remedies(explorer, job, failure, silent)).tried}
    for name in (SERIALIZABLE, "SERIALIZABLE without a retry loop"):
        assert tried[name].verdict == "inconclusive"
        assert tried[name].reason == "the failure needs a pause inside a statement, and the lab can make none here"


class Rare(Bank):
    """Breaks in one order of a great many."""

    steps: ClassVar[int] = 6

    @actor
    async def alice(self, session: AsyncSession) -> None:
        for _ in range(self.steps):
            await session.execute(select(Account.balance).where(Account.id == 3))
        await session.execute(add(2))
        await session.commit()

    @actor
    async def bob(self, session: AsyncSession) -> int:
        one = (await session.scalars(select(Account.balance).where(Account.id == 2))).one()
        two = (await session.scalars(select(Account.balance).where(Account.id == 2))).one()
        return two - one

    @invariant
    async def bob_sees_no_change(self, outcome: Outcome) -> None:
        assert outcome.results["bob"].value == 0


async def test_where_the_failure_is_rare_no_violation_proves_little(explorer, monkeypatch):
    """Nothing broke in the few samples, with the remedy or without it: that is no reason to praise the remedy."""
    monkeypatch.setattr(trials, "REDUCED", 0)  # reduction would run every trace
    job = Job(f"{HERE}:Rare", "random", 12, seed=0)
    result = (await perform(explorer, Job(job.target, DEFAULT, 300))).result
    failure = curable(job, result)
    assert failure is not None
    remedies = await try_remedies(explorer, job, failure, silent)
    doubted = [each for each in remedies.tried if each.verdict == "inconclusive"]
    assert doubted
    reasons = "as it is, 0 of 12 executions break", "no two conflicting steps were met in both orders"
    assert all(any(reason in each.reason for reason in reasons) for each in doubted)
    assert not [each for each in remedies.tried if each.verdict == "pass"]
    still = [each for each in remedies.tried if each.verdict == "fail"]
    assert still, "the schedule that failed still fails under a retry loop, however rare it is"


class OwnLevel(Bank):
    """Sets the level of its transactions itself."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await session.connection(execution_options={"isolation_level": "READ COMMITTED"})
        account = await session.get_one(Account, 1)
        account.balance += 1
        await session.commit()

    @invariant
    async def nothing_is_lost(self, session: AsyncSession) -> None:
        assert (await session.get_one(Account, 1)).balance == 102


class Written(OwnLevel):
    """The same in SQL as text, and the balance is looked up in a way that cannot be locked."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        balance = await session.scalar(select(Account.balance).where(Account.id == 1).distinct()) or 0
        await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
        await session.execute(update(Account).where(Account.id == 1).values(balance=balance + 1))
        await session.commit()


async def test_what_could_not_be_put_there_is_not_run(explorer):
    """A level that the code sets itself stays; DISTINCT and text take no lock; each says so instead of a verdict."""
    remedies = {each.name: each for each in (await tried(explorer, f"{HERE}:OwnLevel")).tried}
    assert remedies[reads("account")].verdict == "pass"
    for level in (REPEATABLE_READ, SERIALIZABLE):
        assert remedies[level].verdict == "not run"
        assert remedies[level].reason == "the code sets the level of its transactions itself"
    remedies = {each.name: each for each in (await tried(explorer, f"{HERE}:Written")).tried}
    assert remedies[REPEATABLE_READ].verdict == "pass"
    assert remedies[folded("account")].verdict == "not run"
    assert "the lab cannot add a lock to SELECT DISTINCT balance FROM account" in remedies[folded("account")].reason
    assert remedies["FOR UPDATE in SELECTs that the lab cannot change (text, a view)"].verdict == "not run"


class Stalled(Bank):
    """Two locks of the process in opposite order."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession, name: str) -> None:
        locks = sorted(self._locks(), key=id, reverse=name == "bob")
        async with locks[0]:
            await session.execute(add(1))
            await session.commit()
            async with locks[1]:
                pass

    def _locks(self) -> list[asyncio.Lock]:
        execution: Any = current_actor().execution
        if not hasattr(self, "_of") or self._of[0] is not execution:
            object.__setattr__(self, "_of", (execution, [asyncio.Lock(), asyncio.Lock()]))
        return self._of[1]


class Raises(Bank):
    """An error of the code."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await session.execute(add(1))
        await session.commit()
        raise ZeroDivisionError


class Cancelled(OwnLevel):
    """Withstands no fault."""

    faults = ("cancel",)


@pytest.mark.parametrize(("name", "checker"), [("Stalled", "stall"), ("Raises", "result"), ("Cancelled", "invariant")])
async def test_stalls_errors_and_faults_have_no_remedy(explorer, name, checker):
    """Levels and locks of rows have nothing to do with these."""
    job = Job(f"{HERE}:{name}", "random", 60)
    result = (await perform(explorer, job)).result
    assert checker in {failure.checker for failure in result.failures}
    assert curable(job, result) is None


async def test_a_hunt_that_was_broken_off_has_no_remedies(explorer):
    job = Job("scenarios.isolation:LostUpdateAnomaly", DEFAULT, FEW)
    result = (await perform(explorer, job)).result
    assert curable(job, result) is not None
    result.trouble = "interrupted"
    assert curable(job, result) is None


async def test_an_interruption_keeps_what_was_tried(explorer, monkeypatch):
    """Ctrl-C in the middle: what was done has its verdict, the rest is marked as not run."""
    job = Job("scenarios.isolation:LostUpdateAnomaly", DEFAULT, FEW)
    failure = curable(job, (await perform(explorer, job)).result)
    assert failure is not None
    searches = []

    async def third_is_interrupted(*args: Any, **named: Any) -> Searched:
        searches.append(args)
        if len(searches) == 3:
            asyncio.current_task().cancel()
        return await search(*args, **named)

    monkeypatch.setattr(trials, "search", third_is_interrupted)
    remedies = await try_remedies(explorer, job, failure, silent)
    assert len(searches) == 3  # the scenario as it is, the locked reads, the first level
    assert [(each.name, each.verdict) for each in remedies.tried[:2]] == [
        (reads("account"), "pass"),
        (RETRY, "fail"),  # the schedule that failed was run under it, and fails
    ]
    assert [(each.verdict, each.reason) for each in remedies.tried[2:4]] == [("not run", "interrupted")] * 2


async def test_when_the_time_is_over_the_rest_is_said_not_to_be_tried(explorer, monkeypatch):
    """Neither what was not run nor what has shown nothing yet is said to help; what fails by then is said to."""
    job = Job("scenarios.isolation:LostUpdateAnomaly", DEFAULT, FEW)
    failure = curable(job, (await perform(explorer, job)).result)
    assert failure is not None
    none = await try_remedies(explorer, job, failure, silent, seconds=0)
    loops = [reads("account"), RETRY, REPEATABLE_READ, SERIALIZABLE]
    assert by_verdict(none) == {NO_TIME: loops, **LOST}
    assert all(each.price is None for each in none.tried)

    async def is_late(*args: Any, until: float, **named: Any) -> Searched:
        return await search(*args, until=0.0, **named)

    monkeypatch.setattr(trials, "search", is_late)
    some = await try_remedies(explorer, job, failure, silent, seconds=600)
    assert by_verdict(some) == {
        "fail": [RETRY],
        "inconclusive": [reads("account"), REPEATABLE_READ, SERIALIZABLE],
        **LOST,
    }
    doubted = [each.reason for each in some.tried if each.verdict == "inconclusive"]
    assert doubted == ["nothing broke in 1 execution, then the time for remedies was over"] * 3


async def test_a_remedy_ends_when_its_answer_is_certain(explorer):
    """At the first failure, or when every trace was run: a fifth of the executions that a fixed number would take."""
    remedies = await tried(explorer, "scenarios.isolation:LostUpdateAnomaly", executions=100)
    assert remedies.unfixed.executions <= 15
    for each in remedies.tried:
        if each.verdict == "fail":
            assert price_of(remedies, each.name).executions == 1
        if each.verdict == "pass":
            assert each.complete
            assert price_of(remedies, each.name).executions <= 40


class Refused(Bank):
    """Both change two rows in opposite orders; a library wraps what the server says."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession, name: str) -> None:
        try:
            for account in (1, 2) if name == "alice" else (2, 1):
                await session.execute(add(account))
            await session.commit()
        except DBAPIError as error:
            raise LookupError("the repository failed") from error

    @invariant
    async def both_are_done(self, session: AsyncSession) -> None:
        assert (await session.get_one(Account, 1)).balance == 102


async def test_a_loop_catches_what_a_library_wraps(explorer):
    """`raise X from error` around a deadlock is a refusal; anything else of that class is the actor's answer."""
    job = Job(f"{HERE}:Refused", DEFAULT, 40)
    retry = Remedy(RETRY, attempts=10, pause=True)
    result = (await perform(explorer, job)).result
    order = decode(result.failures[0].token).schedule
    wished = Wished(order.decisions)
    record = await explorer.run(job.scenario(), wished, remedy=retry)
    assert not record.failed
    assert record.applied is not None
    assert (record.applied.retries, record.applied.attempts) == ({"40P01": 1}, 2)


async def test_an_application_with_an_engine_of_its_own_is_cured_as_well(explorer, server, monkeypatch):
    """Level, locks and retries reach what the code does through its own engine and session factory."""
    engine = create_async_engine(f"postgresql+asyncpg://postgres@/postgres?host={server.folder / 's'}", pool_size=4)
    factory = async_sessionmaker(engine)

    @dataclass(frozen=True)
    class Application(OwnLevel):
        watch: ClassVar[tuple[AsyncEngine, ...]] = (engine,)
        numbers: tuple[int, ...] = field(default=(1,))

        @actor(names=("alice", "bob"))
        async def work(self) -> None:
            async with factory() as session, session.begin():
                account = await session.get_one(Account, 1)
                account.balance += 1

    Application.__qualname__ = "Application"
    monkeypatch.setitem(globals(), "Application", Application)
    found = by_verdict(await tried(explorer, f"{HERE}:Application"))
    assert found["pass"] == [reads("account"), REPEATABLE_READ, SERIALIZABLE]
    assert found["fail"] == [RETRY]
    await engine.dispose()


# ------------------------------------------------------------------------------------------------ what is shown

SHOWN = """\
Remedies  until one breaks or every trace was run, else up to 100 executions of portfolio(seed=0)
                                  READ COMMITTED         REPEATABLE READ  SERIALIZABLE
  as it is                        9 of 15 break          -                -
  a retry loop                    helps, unless starved  helps            inconclusive
  SELECT … FOR UPDATE on account  does not help          -                -
  SELECT … FOR UPDATE on owner    not run                -                -
  rows locked first               not tried (time)       -                -
Prices per execution
  as it is                           aborts 0.00, waits 0.33
  REPEATABLE READ with a retry loop  aborts 0.89 (40001 0.56, 40P01 0.33), waits 0.33 · every trace, 9 executions
  a retry loop alone                 aborts 1.00 (40P01), waits 2.00, up to 2 attempts · 30 executions
  SERIALIZABLE with a retry loop     aborts 0.00, waits 0.00, time 0.9x · 10 executions
  REPEATABLE READ with a retry loop: some statements keep the level that the code sets: AUTOCOMMIT
  a retry loop alone: without a pause, 10 attempts can be in vain: ann fell victim to a deadlock
  SELECT … FOR UPDATE on account: execution 7 breaks: account 1 holds 70, expected 100
  SERIALIZABLE with a retry loop: nothing overlapped
  not run: SELECT … FOR UPDATE on owner: interrupted
  not run: a version check: needs a change of the code"""


def test_the_section_is_a_grid_of_verdicts_then_prices_then_words():
    """A row for each remedy, a column for each level; what was not tried has a cell that says so."""
    retry = "a retry loop"
    kept = "some statements keep the level that the code sets: AUTOCOMMIT"
    starved = "without a pause, 10 attempts can be in vain: ann fell victim to a deadlock"
    tried = (
        Tried(
            REPEATABLE_READ,
            "pass",
            note=kept,
            remedy=Remedy(REPEATABLE_READ, "REPEATABLE READ", 10, row=retry),
            price=Price(9, {"40P01": 3, "40001": 5}, 3, 1.0),
            complete=True,
        ),
        Tried(
            RETRY,
            UNLESS_STARVED,
            starved,
            remedy=Remedy(RETRY, attempts=10, pause=True, row=retry),
            price=Price(30, {"40P01": 30}, 60, 1.0, attempts=2),
        ),
        Tried(
            reads("account"),
            "fail",
            "execution 7 breaks: account 1 holds 70, expected 100",
            remedy=Remedy(reads("account")),
            price=Price(7),
        ),
        Tried(
            SERIALIZABLE,
            "inconclusive",
            "nothing overlapped",
            remedy=Remedy(SERIALIZABLE, "SERIALIZABLE", 10, row=retry),
            price=Price(10, {}, 0, 1.0, 0.91),
        ),
        Tried(reads("owner"), reason="interrupted", remedy=Remedy(reads("owner"))),
        Tried("rows locked first", NO_TIME, remedy=Remedy("rows locked first")),
        Tried("a version check", reason=CODE),
    )
    remedies = Remedies("portfolio(seed=0)", 100, 10, "READ COMMITTED", Price(15, {}, 5, 0.7), 9, tried)
    assert "\n".join(remedy_lines(remedies)) == SHOWN
    assert "\n".join(remedy_lines(Remedies("dfs", trouble="gone"))) == "Remedies  none was run: gone"


@pytest.mark.long  # some 500 executions
async def test_the_guide_shows_what_is_run(explorer):
    """The section there is what a hunt prints, but for the time."""
    remedies = await tried(explorer, "scenarios.transfer:LostUpdate", executions=200)
    guide = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()
    assert _timeless("\n".join(remedy_lines(remedies))) in _timeless(guide)


def _timeless(text: str) -> str:
    return re.sub(r"time \d+\.\dx", "time", text)


@pytest.fixture(scope="module")
def shown() -> list[tuple[int, str, str]]:
    """What the command line prints of the same hunt in five ways, and of a right variant."""
    line = ["hunt", "LostCount", "--executions", str(FEW), "--no-fresh", "--remedies-seconds", "600"]
    return lab_each(
        [
            line,
            [*line, "--json"],
            [*line, "--no-remedies"],
            [*line, "--no-remedies", "--json"],
            [*line, "--seconds", "50", "--json"],
            ["hunt", "Counted", "--executions", "6", "--json"],
        ]
    )


def test_the_command_line_shows_them_behind_the_report(shown):
    """After the token, before the verdict; not with --no-remedies."""
    (status, plain, _), _, (_, without, _), *_ = shown
    assert status == 1
    replay, section, verdict = (plain.rindex(each) for each in ("Replay   lab", "Remedies  until", "fail: "))
    assert replay < section < verdict
    assert f"else up to {FEW} executions of portfolio(seed=0)" in plain
    assert re.search(rf"^  {reads('counter')}  helps ", plain, re.MULTILINE)
    assert re.search(r"^  a retry loop  +does not help ", plain, re.MULTILINE)
    assert f"  not run: {VERSION.format('counter')}: {CODE}" in plain
    assert "Remedies" not in without


def test_programs_get_numbers(shown):
    """JSON: `remedies` and `unfixed`; empty with --no-remedies, with --seconds and where nothing broke."""
    _, (status, text_, errors), _, *none = shown
    result = json.loads(text_)
    assert (status, errors) == (1, "")
    assert 0 < result["unfixed"]["broken"] <= result["unfixed"]["executions"] <= FEW
    first, *_, last = result["remedies"]
    assert first.keys() == {"name", "verdict", "reason", "note", "remedy", "price", "complete"}
    assert (first["name"], first["verdict"], first["remedy"]["lock_reads"]) == (reads("counter"), "pass", ["counter"])
    assert first["price"].keys() == {"executions", "aborts", "lock_waits", "milliseconds", "times", "attempts"}
    assert (last["verdict"], last["price"], last["remedy"]) == ("not run", None, None)
    assert [(code, json.loads(said)["remedies"], json.loads(said)["unfixed"]) for code, said, _ in none] == [
        (1, [], None),
        (1, [], None),
        (0, [], None),
    ]
