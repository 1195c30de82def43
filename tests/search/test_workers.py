"""Worker processes: what they answer, when they die, and that they are gone afterwards."""

from __future__ import annotations

import asyncio
import os
import signal

import psutil
import pytest

from lab.analysis.tally import HuntResult
from lab.errors import UsageError
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server
from lab.schedulers.portfolio import PROLOGUE
from lab.search.campaign import _parts, hunt_everything, hunt_one
from lab.search.workers import Job, Workers

LOST, RIGHT = "scenarios.transfer:LostUpdate", "scenarios.transfer:Transfer"


def children() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "lab.search.workers" in each.cmdline()]


async def answers(server: Server, jobs, number: int = 2):
    return {index: done async for index, done in Workers(Place().of(server), number).perform(jobs)}


async def test_every_job_has_its_answer_and_no_worker_is_left(server):
    """Results come back under the index of their job, errors as sentences with their exit status."""
    jobs = [Job(LOST, "random", 20), Job("nowhere:X", "random", 5), Job(RIGHT, "random", 5)]
    done = await answers(server, iter(jobs))
    assert sorted(done) == [0, 1, 2]
    assert [done[index].job for index in range(3)] == jobs
    assert (done[0].result.verdict, done[2].result.verdict) == ("fail", "pass")
    assert done[0].result.failures[0].report.startswith("LOST UPDATE")
    assert (done[1].exit_status, done[1].error[:24]) == (2, "no module named 'nowhere")
    assert children() == []


async def test_a_worker_that_dies_is_replaced(server):
    """Its job is answered with what happened, the other jobs as if nothing had."""
    jobs = [Job(RIGHT, "random", 100_000), Job(RIGHT, "random", 3), Job(RIGHT, "random", 3)]
    perform = Workers(Place().of(server), 1).perform(jobs)

    async def kill() -> None:
        while not children():  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(0.01)
        os.kill(children()[0].pid, signal.SIGKILL)

    async with asyncio.TaskGroup() as group:
        group.create_task(kill())
        done = {index: result async for index, result in perform}
    assert "a worker process died" in done[0].error
    assert done[0].exit_status == 3
    assert [done[index].result.verdict for index in (0, 1, 2)] == ["inconclusive", "pass", "pass"]


async def test_leaving_early_ends_the_workers(server):
    """Whoever has seen enough leaves, and the workers, busy as they are, go."""
    perform = Workers(Place().of(server), 2).perform([Job(LOST, "random", 200), Job(RIGHT, "random", 100_000)])
    async for index, done in perform:
        assert (index, done.result.verdict) == (0, "fail")
        break
    await perform.aclose()
    assert children() == []


async def test_one_order_cannot_be_shared(server):
    """A scheduler that searches in one order is refused for several workers, and works with one."""
    job = Job(LOST, "serial", 200)
    with pytest.raises(UsageError, match="'serial' searches in one order"):
        await hunt_one(server, Place(), job, 2, lambda result: None)
    assert (await hunt_one(server, Place(), job, 1, lambda result: None)).exhausted


@pytest.mark.parametrize(
    ("scheduler", "executions", "lengths"),
    [("random", 48, [6] * 8), ("portfolio", 48, [PROLOGUE, 6, 6, 6]), ("portfolio", 20, [20]), ("urw", 3, [1, 1, 1])],
)
def test_a_hunt_is_cut_into_parts_behind_its_prologue(scheduler, executions, lengths):
    """The parts follow one another without a gap, each told how many executions the whole has."""
    parts = list(_parts(Job(RIGHT, scheduler, executions), 2, HuntResult(RIGHT, 0)))
    assert [part.executions for part in parts] == lengths
    assert [part.first for part in parts] == [sum(lengths[:number]) for number in range(len(lengths))]
    assert {part.total for part in parts} == {executions}


async def test_progress_grows_and_ends_at_the_result(server):
    """The number of executions that progress shows never falls."""
    seen: list[int] = []
    result = await hunt_one(server, Place(), Job(RIGHT, "random", 16), 2, lambda r: seen.append(r.executions))
    assert seen == sorted(seen)
    assert seen[-1] == result.executions == 16
    assert result.seconds > 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_hunting_everything_gives_a_line_for_each(server, workers):
    """A planted bug is expected to fail, a right variant to pass; nobody expects a scenario that cannot run."""
    jobs = [
        ("right", Job(RIGHT, "random", 5)),
        ("planted", Job(LOST, "random", 100)),
        ("planted", Job(RIGHT, "random", 5)),
        ("right", Job("nowhere:X", "random", 5)),
        ("probe", Job(LOST, "random", 100)),
    ]
    lines = {
        (line.kind, line.target): line.as_expected async for line in hunt_everything(server, Place(), jobs, workers)
    }
    assert lines == {
        ("right", RIGHT): True,
        ("planted", LOST): True,
        ("planted", RIGHT): False,
        ("right", "nowhere:X"): False,
        ("probe", LOST): True,
    }
