"""Executions that other workers make ahead: the search reports what it would report alone, and never waits for them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, replace

import psutil
import pytest
from helpers.kit import Account, Bank
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor, invariant
from lab.analysis.tally import ONE_TRACE, HuntResult
from lab.explore import Explorer
from lab.model.starts import Starts
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server
from lab.scenario.declare import Scenario
from lab.schedulers.portfolio import PROLOGUE
from lab.search import ahead as module
from lab.search.ahead import Ahead, Front, Made, made_ahead
from lab.search.campaign import hunt_one
from lab.search.hunt import INTERRUPTED, Hunt
from lab.search.job import Job
from lab.search.workers import perform

RIGHT = "scenarios.deadlock:RingOfTwo"
"""Its reduction ends the portfolio's search after 73 executions."""
LARGE = "scenarios.transfer:Transfer"


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "lab.search.workers" in each.cmdline()]


class Given(Ahead):
    """Executions that are there from the start, from no process."""

    def __init__(self, made: Iterable[Made]) -> None:
        self.left = {each.number: each for each in made}
        self.all = len(self.left)

    def take(self, number: int) -> Made | None:
        return self.left.pop(number, None)

    def goes_on(self, number: int, *, foreseen: bool) -> None:
        """Nobody is told."""


@dataclass(frozen=True)
class Brittle(Bank):
    """Breaks nothing; its tests say that it did elsewhere."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))
        await session.commit()

    @actor
    async def ben(self, session: AsyncSession) -> None:
        await self.ann(session)

    @invariant
    async def nothing_is_lost(self, session: AsyncSession) -> None: ...


async def ahead_of(explorer: Explorer, job: Job) -> list[Made]:
    """What one helping worker makes, as it comes out of its line of JSON."""
    front = Front(asyncio.get_running_loop())
    return [Made.load(each.dump().encode()) async for each in made_ahead(explorer, replace(job, share=(0, 1)), front)]


def shown(result: HuntResult) -> dict[str, object]:
    return {**result.dump(), "seconds": 0}


@pytest.fixture(scope="module")
async def alone(explorer: Explorer, anyio_backend: str) -> HuntResult:
    return (await perform(explorer, Job(RIGHT))).result


@pytest.fixture(scope="module")
async def made(server: Server, anyio_backend: str) -> list[Made]:
    """By an explorer of its own, as a process of its own has one."""
    other = Explorer(server)
    try:
        return await ahead_of(other, Job(RIGHT, executions=100))
    finally:
        await other.aclose()


def test_a_helping_worker_makes_every_second_execution_behind_the_prologue(made):
    """Those are samples, whatever the search has seen by then."""
    assert [each.number for each in made] == list(range(PROLOGUE + 2, 100, 2))
    assert {each.result.coverage.samples for each in made} == {1}


async def test_a_search_with_help_reports_what_it_reports_alone(explorer, alone, made, monkeypatch):
    """Every count, trace and outcome; it ends with the same execution, and has made fewer itself."""
    ran = []
    run = Explorer.run

    async def counted(self, *given, execution=0, **more):
        ran.append(execution)
        return await run(self, *given, execution=execution, **more)

    monkeypatch.setattr(Explorer, "run", counted)
    given = Given(made)
    helped = (await perform(explorer, Job(RIGHT), ahead=given)).result
    assert (alone.exhausted, alone.complete) == (True, True)
    assert shown(helped) == shown(alone)
    taken = given.all - len(given.left)
    assert taken > 10
    assert len(set(ran)) == alone.executions + 1 - taken  # and the one that the reduction did not have


async def test_a_violation_elsewhere_is_found_again_where_the_search_is(explorer):
    """The failure is that of one worker, and those that are known by then only count."""
    job = Job("scenarios.transfer:LostUpdate", executions=40, keep_going=True, refine=False)
    made = await ahead_of(explorer, job)
    assert any(each.broken for each in made)
    alone = (await perform(explorer, job)).result
    assert shown((await perform(explorer, job, ahead=Given(made))).result) == shown(alone)


async def searched(explorer: Explorer, scenario: Scenario, made: Made) -> HuntResult:
    hunt = Hunt(scenario, Job.of(scenario, executions=made.number + 1), ahead=Given([made]))
    return await hunt.run(explorer)


def elsewhere(number: int = PROLOGUE, broken: tuple[str, str] | None = None, **more) -> Made:
    result = HuntResult("of.another:Process", 0, executions=1, **more)
    result.note("trace", "outcome")
    return Made(number, result, broken)


async def test_a_violation_that_does_not_come_again_is_no_pass(plain):
    """No schedule can be repeated then, and the reason names the execution."""
    result = await searched(plain, Brittle(), elsewhere(broken=("invariant", "nothing is lost")))
    assert (result.executions, result.verdict, result.failures) == (PROLOGUE + 1, "inconclusive", [])
    assert result.reason.startswith(f"execution {PROLOGUE + 1} broke 'nothing is lost' in one process and nothing in")


@pytest.mark.parametrize(
    "more", [{"uncontrolled": ["column a.b"]}, {"starts": Starts.DECIDED}], ids=["places", "starts"]
)
async def test_what_was_made_under_other_conditions_is_not_taken(plain, more):
    """What the other process knew to differ by nature, or whether beginning is a decision."""
    result = await searched(plain, Brittle(), elsewhere(**more))
    assert result.executions == PROLOGUE + 1
    assert "trace" not in result.traces
    assert "trace" in (await searched(plain, Brittle(), elsewhere())).traces


def test_one_trace_with_two_outcomes_is_noticed_across_processes():
    """By parts of a hunt as well as by executions that were made ahead."""
    total = HuntResult("m:C", 0)
    total.note("trace", "outcome")
    total.add(elsewhere().result)
    assert total.unsearched == []
    part = HuntResult("m:C", 0)
    part.note("trace", "another")
    total.add(HuntResult.load(part.dump()))
    assert total.unsearched == [f"reduction does not hold for this scenario: {ONE_TRACE}"]


async def test_a_short_search_starts_no_process_and_ends_with_its_reduction(server, alone, monkeypatch):
    """With two workers it is the search of one; it is over long before a second process would be there."""
    monkeypatch.setattr(module.subprocess, "Popen", None)
    monkeypatch.setattr(module, "JOIN_SECONDS", 60.0)
    result = await hunt_one(server, Place(), Job(RIGHT), 2, lambda seen: None)
    assert (result.executions, result.exhausted, result.complete) == (73, True, True)
    assert shown(result) == shown(alone)


async def test_nobody_joins_where_little_time_or_little_to_do_is_left():
    """A start has to pay for itself."""

    def joins(number: int, **more) -> bool:
        job = Job(LARGE, executions=200, **more)
        waiting = Ahead(Place(), job, 2)
        waiting._began -= module.JOIN_SECONDS  # the search has gone on for so long
        return waiting._pays(number)

    assert joins(40)
    assert joins(40, seconds=60.0)
    assert not joins(40, seconds=module.JOIN_SECONDS + 1)
    assert not joins(190)
    assert not Ahead(Place(), Job(LARGE, executions=200), 2)._pays(40)


async def test_workers_join_a_long_search_and_an_interruption_ends_them(server, monkeypatch):
    """What was found until then is there, and nobody is left."""
    taken = []
    take = Ahead.take

    def noted(self: Ahead, number: int) -> Made | None:
        found = take(self, number)
        if found is not None:
            taken.append(number)
            hunting.cancel()
        return found

    monkeypatch.setattr(Ahead, "take", noted)
    monkeypatch.setattr(module, "JOIN_SECONDS", 0.0)
    hunting = asyncio.ensure_future(hunt_one(server, Place(), Job(LARGE, executions=1_000_000), 2, lambda seen: None))
    result = await hunting
    assert (len(taken), result.trouble) == (1, INTERRUPTED)
    assert result.executions > PROLOGUE
    assert children() == []


async def test_a_worker_that_dies_is_not_missed(server, monkeypatch, capfd):
    """The search makes all executions itself, and says on standard error that it did."""
    monkeypatch.setattr(module, "JOIN_SECONDS", 0.0)
    killed = []

    def kill(seen: HuntResult) -> None:
        if not killed and (there := children()):
            killed.extend(there)
            os.kill(there[0].pid, signal.SIGKILL)

    result = await hunt_one(server, Place(), Job(LARGE, executions=PROLOGUE + 25), 2, kill)
    assert (len(killed), result.executions, result.verdict, result.trouble) == (1, PROLOGUE + 25, "pass", "")
    assert "a worker process died, and the hunt went on without it" in capfd.readouterr().err
