"""Hunts: what is counted, what ends them, and that a reported failure is what was found."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import cast

import pytest
from helpers.kit import Account, Bank
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor, invariant
from lab.analysis.coverage import Coverage
from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import FAILURES_KEPT, HuntResult
from lab.errors import ScenarioError, Violation
from lab.explore import Conditions, Explorer
from lab.model.replay_token import decode, scenario_of
from lab.model.trace import Trace
from lab.postgres.server.server import Server
from lab.scenario.declare import actors_of
from lab.schedulers import SCHEDULERS
from lab.schedulers.guided import Guided
from lab.search.hunt import INTERRUPTED, Hunt
from lab.search.races.findings import Raced, Standing
from lab.search.races.pairs import Pair
from lab.shrink.replays import replay_times
from lab.testing import Lab
from scenarios.deadlock import RingOfTwo, SwallowedDeadlock
from scenarios.transfer import LostUpdate, Transfer

hunt = Hunt.of


def failure(name: str, **more) -> ReportedFailure:
    values = {
        "token": "t", "checker": "invariant", "anomaly": None, "invariant": name, "broken": name, "preemptions": 1,
        "steps": 2, "execution": 1, "identical": 5, "replays": 5, "report": "",
    }  # fmt: skip
    return ReportedFailure(**{**values, **more})


async def test_a_hunt_stops_at_the_first_violation_and_its_token_replays(explorer):
    """The failure is minimised, replayed five times identically, and its token gives the same invariant."""
    result = await hunt(LostUpdate()).run(explorer)
    (found,) = result.failures
    assert result.verdict == "fail"
    assert result.executions == found.execution
    assert (found.identical, found.replays, found.preemptions) == (5, 5, 1)
    assert found.token in found.report
    token = decode(found.token)
    replays = await replay_times(explorer, scenario_of(token, LostUpdate), token.schedule, Conditions(), 10)
    assert (replays.identical, replays.diverged, replays.verdict) == (10, 0, "fail")
    assert replays.record.findings[0].name == found.invariant


async def test_a_right_variant_passes_and_every_execution_is_counted(plain):
    """A pass counts as many outcomes as executions, and says that it was not exhaustive."""
    result = await hunt(Transfer(), scheduler="random", executions=25, seed=7).run(plain)
    assert (result.verdict, result.executions, result.exhausted, result.reason) == ("pass", 25, False, "")
    assert sum(result.outcomes.values()) == 25
    assert 1 < len(result.traces) <= 25
    assert (result.coverage.samples, result.bound, result.complete) == (25, 3 / 25, False)
    assert result.coverage.conflicted == 25


async def test_a_reduction_that_is_over_has_run_every_trace(explorer):
    """Then a pass needs no chance: no trace is left."""
    result = await hunt(Transfer(), scheduler="dpor", executions=500).run(explorer)
    assert (result.verdict, result.exhausted, result.complete, result.bound) == ("pass", True, True, None)
    assert result.executions >= len(result.traces) > 10


async def test_a_search_that_was_cut_short_is_not_complete(plain):
    """A reduction with too few executions proves nothing of the rest, and its executions are no samples."""
    result = await hunt(Transfer(), scheduler="dpor", executions=5).run(plain)
    assert (result.verdict, result.exhausted, result.complete, result.bound) == ("pass", False, False, None)


@dataclass(frozen=True)
class Apart(Bank):
    """Two actors that never touch the same row."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=1))
        await session.commit()

    @actor
    async def ben(self, session: AsyncSession) -> None:
        await session.execute(update(Account).where(Account.id == 2).values(balance=1))
        await session.commit()


@dataclass(frozen=True)
class Single(Bank):
    """Only one of the two does anything."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=1))
        await session.commit()

    @actor
    async def ben(self) -> None:
        pass


@pytest.mark.parametrize(
    ("scenario", "scheduler", "reason"),
    [
        (Apart(), "random", "nothing conflicted: "),
        (Apart(), "dpor", "nothing "),
        (Single(), "random", "nothing overlapped: "),
        (Transfer(), "serial", "nothing overlapped: "),
    ],
)
async def test_a_search_that_could_not_have_shown_a_race_is_no_pass(plain, scenario, scheduler, reason):
    """Where nothing overlaps, or nobody meets, the verdict is inconclusive and says why."""
    result = await hunt(scenario, scheduler=scheduler, executions=20).run(plain)
    assert (result.verdict, result.bound) == ("inconclusive", None)
    assert result.reason.startswith(reason)


async def test_where_the_time_was_over_that_is_the_reason(plain):
    """And a pair of requests of which a few executions showed nothing is not said to be safe."""
    result = await hunt(Single(), scheduler="random", executions=1_000_000, seconds=1.0).run(plain)
    assert result.verdict == "inconclusive"
    began = f"the given time was over after {result.executions} executions, and until then nothing overlapped: "
    assert result.reason.startswith(began)
    pair = cast(Pair, None)  # it is only handed on
    assert Raced.of(pair, result, autocommits=True).standing is Standing.UNKNOWN
    assert Raced.of(pair, replace(result, ran_out=False), autocommits=True).standing is Standing.SAFE


async def test_equal_seeds_give_equal_hunts(plain):
    """Counts, outcomes and traces depend on the seed alone."""
    runs = [hunt(RingOfTwo(), scheduler="random", executions=5, seed=seed) for seed in (1, 1, 2)]
    first, again, other = [await each.run(plain) for each in runs]
    assert (first.outcomes, first.traces) == (again.outcomes, again.traces)
    assert first.traces != other.traces


@pytest.mark.parametrize("scheduler", ["random", "urw", "portfolio"])
async def test_a_hunt_in_parts_is_the_hunt_as_a_whole(plain, scheduler):
    """Executions are numbered through, so parts added together are the same hunt; what measures does so in each."""
    prologue = SCHEDULERS[scheduler].prologue or 5
    options = {"scheduler": scheduler, "keep_going": True, "refine": scheduler == "random"}
    whole = await hunt(SwallowedDeadlock(), executions=prologue + 10, **options).run(plain)
    total = HuntResult(whole.target, whole.seed)
    for first, last in ((0, prologue), (prologue, prologue + 3), (prologue + 3, prologue + 10)):
        known = [each.key for each in total.failures]
        part = hunt(
            SwallowedDeadlock(), executions=last - first, first=first, total=prologue + 10, known=known, **options
        )
        total.add(await part.run(plain))
    assert (total.outcomes, total.traces, total.executions) == (whole.outcomes, whole.traces, prologue + 10)
    assert total.coverage == whole.coverage
    assert total.failures == whole.failures


async def test_depth_first_search_runs_every_interleaving(plain):
    """Two actors of four steps: 8! / (4! * 4!) = 70, and then it is over. They only read, so all are one trace."""
    result = await hunt(TwoReaders(), scheduler="dfs").run(plain)
    assert (result.executions, len(result.traces), result.exhausted, result.verdict) == (70, 1, True, "inconclusive")


async def test_a_bounded_search_says_its_options(plain):
    """The scheduler is named with its options where a failure was found, and the bound holds."""
    result = await hunt(TwoReaders(), scheduler="dfs", options={"preemptions": 0}).run(plain)
    assert (result.executions, result.exhausted) == (2, True)
    found = await hunt(LostUpdate(), scheduler="dfs", options={"preemptions": 1}, seed=3).run(plain)
    assert "dfs(preemptions=1, seed=3)" in found.failures[0].report
    with pytest.raises(Violation, match=r"pct\(depth=2, seed=0\)"):
        await Lab(plain).hunt(LostUpdate(), scheduler="pct", depth=2)


class Measures(Guided):
    """Wants to see a serial run first; notes the traces that it is shown."""

    def __init__(self) -> None:
        super().__init__(())
        self.seen: list[Trace] = []

    @property
    def calibrated(self) -> bool:
        return bool(self.seen)

    def end(self, trace: Trace) -> None:
        self.seen.append(trace)


async def test_a_schedule_that_measures_is_shown_a_serial_run_once_for_each_data(plain, monkeypatch):
    """Before the execution that counts; the same data need not be run again."""
    runs = []
    run = plain.run

    async def counted(scenario, scheduler, *conditions, **changes):
        runs.append(scenario.amount)
        return await run(scenario, scheduler, *conditions, **changes)

    monkeypatch.setattr(plain, "run", counted)
    lab, shown = Lab(plain), []
    for amount in (30, 30, 20):
        schedule = Measures()
        await lab.check(Transfer(amount=amount), schedule)
        assert [trace.preemptions for trace in schedule.seen] == [0, 0]
        shown.append(schedule.seen[0])
    assert runs == [30, 30, 30, 20, 20]
    assert shown[0] == shown[1] != shown[2]


async def test_serial_runs_are_exhausted(plain):
    """Every order of the actors, and no more."""
    result = await hunt(LostUpdate(), scheduler="serial").run(plain)
    orders = math.factorial(len(actors_of(LostUpdate)))
    assert (result.executions, result.exhausted, result.complete) == (orders, True, False)


async def test_no_time_is_no_verdict(plain):
    """A hunt without an execution is inconclusive and says why."""
    result = await hunt(Transfer(), seconds=0).run(plain)
    assert (result.verdict, result.executions) == ("inconclusive", 0)
    assert result.reason == "the given time was too short for a single execution"


@dataclass(frozen=True)
class TwoReaders(Bank):
    """Each reads three rows of its own and commits."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        for number in (1, 2, 1):
            await session.execute(select(Account).where(Account.id == number))
        await session.commit()

    @actor
    async def ben(self, session: AsyncSession) -> None:
        for number in (3, 4, 3):
            await session.execute(select(Account).where(Account.id == number))
        await session.commit()


@dataclass(frozen=True)
class BreaksAfter(Bank):
    """Its invariant breaks in every execution if it is told to, and crashes from a given execution on."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        await session.get(Account, 1)

    @actor
    async def ben(self, session: AsyncSession) -> None:
        await session.get(Account, 1)

    @invariant
    async def crashes_late(self) -> None:
        COUNTS["runs"] += 1
        1 / (COUNTS["runs"] < COUNTS["crash"])
        assert COUNTS["breaks"] == 0, "broken"


COUNTS: Counter[str] = Counter()


@pytest.mark.parametrize("breaks", [0, 1])
async def test_a_scenario_that_crashes_late_raises_unless_that_would_hide_a_violation(plain, breaks):
    """Without a violation the error is raised; with one, it ends the hunt and is its reason."""
    COUNTS.clear()
    COUNTS.update(crash=30, breaks=breaks)
    running = hunt(BreaksAfter(), executions=100, keep_going=True)
    if not breaks:
        with pytest.raises(ScenarioError, match=r"crashes_late .* raised ZeroDivisionError"):
            await running.run(plain)
        return
    result = await running.run(plain)
    assert result.verdict == "fail"
    assert "ZeroDivisionError" in result.reason
    assert [each.invariant for each in result.failures] == ["crashes late"]


async def test_a_cancelled_hunt_keeps_what_it_found(server: Server):
    """Cancellation, as by Ctrl-C, ends a hunt with its results so far."""
    explorer = Explorer(server)
    enough = asyncio.Event()

    def progress(result: HuntResult) -> None:
        if result.executions >= 5 and result.failures:
            enough.set()

    task = asyncio.create_task(hunt(LostUpdate(), executions=100_000, keep_going=True, progress=progress).run(explorer))
    await enough.wait()
    task.cancel()
    result = await task
    await explorer.aclose()
    assert (result.verdict, result.trouble, result.reason) == ("fail", INTERRUPTED, INTERRUPTED)
    assert 5 <= result.executions < 100_000


def test_an_inconclusive_hunt_is_never_a_pass():
    """Trouble, endless executions and no execution at all are inconclusive; a violation outweighs them."""
    seen = Coverage(overlapped=1, conflicted=1)
    assert HuntResult("t", 0, coverage=seen).verdict == "inconclusive"
    assert HuntResult("t", 0, executions=9, endless=1, coverage=seen).verdict == "inconclusive"
    assert HuntResult("t", 0, executions=9, trouble="x", coverage=seen).verdict == "inconclusive"
    assert HuntResult("t", 0, executions=9, coverage=seen).verdict == "pass"
    assert HuntResult("t", 0, executions=9, coverage=Coverage(overlapped=1)).verdict == "inconclusive"
    assert HuntResult("t", 0, executions=9, coverage=Coverage(conflicted=1)).verdict == "inconclusive"
    assert HuntResult("t", 0, executions=9, trouble="x", failures=[failure("a")]).verdict == "fail"


def test_parts_add_up_and_a_known_violation_is_not_told_twice():
    """Counts add, traces unite, failures are kept once for each violation and at most so many."""
    total = HuntResult("t", 0, executions=2, outcomes=Counter(a=2), traces={"x"}, failures=[failure("a", steps=1)])
    names = ["a", *(str(number) for number in range(FAILURES_KEPT + 5))]
    total.add(
        HuntResult(
            "t", 0, executions=3, outcomes=Counter(a=1, b=2), traces={"x", "y"}, failures=[failure(n) for n in names]
        )
    )
    assert (total.executions, total.outcomes, total.traces) == (5, Counter(a=3, b=2), {"x", "y"})
    assert [each.broken for each in total.failures] == ["a", *names[1:FAILURES_KEPT]]
    assert total.failures[0].steps == 1
