"""Workers that are child processes: they are there from the first execution on, and the hunt ends with them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from helpers.processes import worker_processes

from lab.analysis.tally import HuntResult
from lab.explore import Explorer
from lab.postgres.server.place import Place
from lab.search.campaign import hunt_one
from lab.search.crew.crew import Crew
from lab.search.crew.desk import Figures
from lab.search.crew.processes import Processes
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.workers import perform

LOST, RIGHT = "scenarios.transfer:LostUpdate", "scenarios.transfer:Transfer"


def shown(result: HuntResult) -> dict[str, object]:
    return {**result.dump(), "seconds": 0}


@pytest.fixture
def figures(monkeypatch) -> list[Figures]:
    """Workers join at once, as many as are asked, and the search goes on when all are there. How it went, of each."""
    monkeypatch.setattr("lab.search.crew.processes.usable_cores", lambda: 9)
    start, dismiss = Processes.start, Crew.dismiss
    went: list[Figures] = []

    def until_all_are_there(self: Processes) -> None:
        start(self)
        while len(self.workers) < self._number:
            self.wait(1.0)
            assert not self.answers()
            assert not self.gone()

    def noted(self: Crew) -> None:
        dismiss(self)
        went.append(self.figures)

    monkeypatch.setattr(Processes, "start", until_all_are_there)
    monkeypatch.setattr(Crew, "_pays", lambda self, number: True)
    monkeypatch.setattr(Crew, "dismiss", noted)
    return went


async def hunted(server, job: Job, workers: int, progress=lambda seen: None) -> HuntResult:
    result = await hunt_one(server, Place(), job, workers, progress)
    assert worker_processes() == []
    return result


async def test_reduction_with_a_worker_of_its_own_runs_the_traces_of_one(server, explorer, figures):
    """All of them, in the same order, each once; progress is that of both together."""
    job, seen = Job(RIGHT, "dpor", refine=False), []
    alone = (await perform(explorer, job)).result
    helped = await hunted(server, job, 2, lambda result: seen.append(result.executions))
    assert (helped.exhausted, helped.complete) == (True, True)
    assert shown(helped) == shown(alone)
    assert seen == list(range(1, alone.executions + 1))
    assert figures[0].taken > 5


@pytest.mark.long
@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("scheduler", ["random", "dfs", "dpor", "portfolio", "feedback", "pct"])
@pytest.mark.parametrize(
    "target", [LOST, "scenarios.overdraft:Overdraft", "scenarios.durability:Durability", "scenarios.deadlock:PriceJobs"]
)
async def test_the_result_does_not_depend_on_the_number_of_workers(
    server, explorer: Explorer, figures, target, scheduler, workers
):
    """Also with violations, faults that need a server of their own, and breakpoints."""
    job = Job(target, scheduler, 100, keep_going=True, refine=False)
    alone = (await perform(explorer, job)).result
    assert shown(await hunted(server, job, workers)) == shown(alone)
    assert figures[0].taken > 0 or alone.executions < 10  # a search may be over before anybody could help


async def test_a_worker_that_is_killed_is_not_missed_and_its_share_is_made_again(server, explorer, figures, capfd):
    """The result is the same, and the hunt says what happened."""
    job = Job(RIGHT, "random", 25)
    killed = []

    def kill(seen: HuntResult) -> None:
        if not killed and seen.executions == 8:
            killed.extend(each.pid for each in worker_processes())
            os.kill(killed[0], signal.SIGKILL)

    result = await hunted(server, job, 2, kill)
    assert len(killed) == 1
    assert shown(result) == shown((await perform(explorer, job)).result)
    assert (figures[0].taken > 0, figures[0].lost > 0) == (True, True)
    assert "a worker process died, and the hunt went on without it" in capfd.readouterr().err


@pytest.mark.parametrize("scheduler", ["random", "dpor"])
async def test_an_interruption_ends_all_and_keeps_what_was_seen(server, figures, scheduler):
    """Whatever they are busy with; on the lab's own server nobody needs longer than it is given to leave."""
    hunting = asyncio.ensure_future(
        hunted(
            server,
            Job("scenarios.deadlock:RingOfFour", scheduler, 1_000_000),
            2,
            lambda seen: hunting.cancel() if seen.executions == 12 else None,
        )
    )
    result = await hunting
    assert result.trouble == INTERRUPTED
    assert result.executions >= 12
    assert figures[0].taken > 0


async def test_a_short_hunt_starts_no_process(server, monkeypatch):
    """It is over before a second process would be there."""
    monkeypatch.setattr(Processes, "prepare", None)
    monkeypatch.setattr(Processes, "start", None)
    monkeypatch.setattr("lab.search.crew.crew.SEEN_SECONDS", 60.0)
    assert (await hunted(server, Job(RIGHT, "random", 10), 4)).executions == 10


@pytest.mark.parametrize(("cores", "asked", "started"), [(3, 5, 2), (3, 1, 1), (1, 5, 1), (96, 2, 2)])
async def test_there_are_no_more_than_cores_and_they_go_unasked(monkeypatch, server, cores, asked, started):
    """One is there in any case. They were told nothing yet, so there is nothing that they could put away."""
    monkeypatch.setattr("lab.search.crew.processes.usable_cores", lambda: cores)
    hands = Processes(Place().of(server), Job(RIGHT), asked)
    hands.prepare()
    assert len(worker_processes()) == started
    assert hands.workers == []
    hands.dismiss()
    await hands.aclose()
    assert worker_processes() == []


async def test_whoever_only_imports_is_ended_at_once_on_a_server_by_url():
    """It has no database there that it would have to drop."""
    hands = Processes(Place("postgresql://nobody@nowhere.invalid/none"), Job(RIGHT), 1)
    hands.prepare()
    (worker,) = hands._workers
    hands.dismiss()
    await hands.aclose()
    assert worker.process.returncode == -signal.SIGKILL


async def test_one_that_imported_beforehand_makes_what_it_is_given(monkeypatch, server, explorer, figures):
    """It joins where a hunt is long enough, and no other is started in its place."""
    begun = []
    begin = Processes._begun
    monkeypatch.setattr(Processes, "_begun", lambda self, lifeline: begun.append(1) or begin(self, lifeline))
    job = Job(RIGHT, "random", 100)
    result = await hunted(server, job, 2)
    assert shown(result) == shown((await perform(explorer, job)).result)
    assert len(begun) == 1
    assert figures[0].taken > 0
