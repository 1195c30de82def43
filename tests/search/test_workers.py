"""Worker processes: what they answer, when they die, and that they are gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from helpers.processes import worker_processes

from lab.errors import ServerError
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.place import Place
from lab.postgres.server.server import Server
from lab.search.campaign import hunt_everything, hunt_one
from lab.search.job import Job
from lab.search.workers import JobResult, Workers

LOST, RIGHT = "scenarios.transfer:LostUpdate", "scenarios.transfer:Transfer"


@dataclass(frozen=True)
class Work:
    """Jobs that two workers performed, and what everybody could read of them meanwhile."""

    jobs: list[Job]
    done: dict[int, JobResult]
    known: list[bytes]


@pytest.fixture(scope="module")
async def work(server, anyio_backend) -> Work:
    """On a server that is given by a URL with a password."""
    jobs = [Job(LOST, "random", 20), Job("nowhere:X", "random", 5), Job(RIGHT, "random", 5)]
    url = f"postgresql://postgres:hunter2hunter2@/postgres?host={server.folder / 's'}"
    known = []

    async def look() -> None:
        while not worker_processes():  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(0.001)
        known.extend(what_is_known_of(each.pid) for each in worker_processes())

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_URL", "postgresql://u:hunter2hunter2@h/d")
        async with asyncio.TaskGroup() as group:
            group.create_task(look())
            done = {index: result async for index, result in Workers(Place(url), 2).perform(iter(jobs))}
    return Work(jobs, done, known)


def what_is_known_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()


async def test_every_job_has_its_answer_and_no_worker_is_left(work):
    """Results come back under the index of their job, errors as sentences with their exit status."""
    jobs, done = work.jobs, work.done
    assert sorted(done) == [0, 1, 2]
    assert [done[index].job for index in range(3)] == jobs
    assert (done[0].result.verdict, done[2].result.verdict) == ("fail", "pass")
    assert done[0].result.failures[0].report.startswith("LOST UPDATE")
    assert (done[1].exit_status, done[1].error[:24]) == (2, "no module named 'nowhere")
    assert worker_processes() == []


def test_the_url_is_neither_in_the_arguments_nor_in_the_environment_of_a_worker(work):
    """Every user of a machine reads the arguments of its processes."""
    assert {work.done[index].result.verdict for index in (0, 2)} == {"fail", "pass"}
    assert work.known
    assert not [text for text in work.known if b"hunter2" in text]


async def test_a_worker_that_dies_is_replaced(server):
    """Its job is answered with what happened, the other jobs as if nothing had."""
    jobs = [Job(RIGHT, "random", 100_000), Job(RIGHT, "random", 3), Job(RIGHT, "random", 3)]
    perform = Workers(Place().of(server), 1).perform(jobs)

    async def kill() -> None:
        while not worker_processes():  # noqa: ASYNC110 - another process sets no event of ours
            await asyncio.sleep(0.01)
        os.kill(worker_processes()[0].pid, signal.SIGKILL)

    async with asyncio.TaskGroup() as group:
        group.create_task(kill())
        done = {index: result async for index, result in perform}
    assert "a worker process died" in done[0].error
    assert done[0].exit_status == 3
    assert [done[index].result.verdict for index in (0, 1, 2)] == ["inconclusive", "pass", "pass"]


@pytest.mark.parametrize(("deaths", "verdict"), [(1, "pass"), (2, "inconclusive")])
async def test_the_share_of_a_worker_that_dies_is_done_again_in_a_demonstration(server, deaths, verdict, capfd):
    """Once: a scenario that ends its process would end the next one, too."""
    jobs = [("right", Job(RIGHT, "random", 3))]
    killed: list[int] = []

    async def kill() -> None:
        while len(killed) < deaths:
            await asyncio.sleep(0.001)
            for each in worker_processes():
                if each.pid not in killed and len(killed) < deaths:
                    os.kill(each.pid, signal.SIGKILL)
                    killed.append(each.pid)

    async with asyncio.TaskGroup() as group:
        group.create_task(kill())
        (line,) = [each async for each in hunt_everything(server, Place(), jobs, 2)]
    assert (line.result.verdict, len(killed)) == (verdict, deaths)
    assert capfd.readouterr().err.count("a worker process died: ") == 1


async def test_leaving_early_ends_the_workers(server):
    """Whoever has seen enough leaves, and the workers, busy as they are, go."""
    perform = Workers(Place().of(server), 2).perform(
        [Job(LOST, "random", 200, refine=False), Job(RIGHT, "random", 100_000)]
    )
    async for index, done in perform:
        assert (index, done.result.verdict) == (0, "fail")
        break
    await perform.aclose()
    assert worker_processes() == []


@pytest.mark.parametrize("scheduler", ["serial", "directed"])
async def test_a_scheduler_that_foresees_nothing_works_with_workers_too(server, scheduler):
    """It is over after a few executions; nobody is started for it."""
    job = Job(RIGHT, scheduler, 200)
    one, two = [await hunt_one(server, Place(), job, workers, lambda result: None) for workers in (1, 2)]
    assert one.exhausted
    assert {**one.dump(), "seconds": 0} == {**two.dump(), "seconds": 0}


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
        ("planted", Job(LOST, "random", 100, refine=False)),
        ("planted", Job(RIGHT, "random", 5)),
        ("right", Job("nowhere:X", "random", 5)),
        ("probe", Job(LOST, "random", 100, refine=False)),
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


async def test_a_scenario_that_cannot_run_on_a_server_says_why(server):
    """In JSON too, where its verdict has a reason; nothing is started for it."""
    by_url = replace(server, version=None)
    target = "scenarios.durability:Durability"
    (line,) = [each async for each in hunt_everything(by_url, Place(), [("planted", Job(target, "random", 5))], 1)]
    assert (line.result.verdict, line.result.executions) == ("inconclusive", 0)
    assert line.result.shown()["reason"] == line.cannot == "the fault 'crash' needs the embedded server"


PARENT = """
import asyncio, sys
sys.path[:0] = {path!r}
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.place import Place
from lab.search.workers import Job, Workers

async def main():
    with embedded_server() as server:
        async for _ in Workers(Place().of(server), 2).perform([Job("busy:Busy", "random", 5)] * 2):
            pass

asyncio.run(main())
"""
BUSY = """
import time
from dataclasses import dataclass
from lab import Scenario, actor

@dataclass(frozen=True)
class Busy(Scenario):
    @actor
    async def computes(self):
        print("busy", file=open("busy-now", "w"))
        while True:
            pass

    @actor
    async def other(self): ...
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_workers_that_compute_without_pause_end_with_their_parent(tmp_path, number):
    """Whatever ends it, they are gone at once, and so is the server."""
    (tmp_path / "busy.py").write_text(BUSY)
    parent = subprocess.Popen([sys.executable, "-c", PARENT.format(path=sys.path)], cwd=tmp_path)
    process = psutil.Process(parent.pid)
    wait_until((tmp_path / "busy-now").exists)
    family = process.children(recursive=True)
    assert sum("lab.search.workers" in command_of(each) for each in family) == 2
    parent.send_signal(number)
    parent.wait()
    gone, alive = psutil.wait_procs(family, timeout=20)
    assert (len(gone), alive) == (len(family), [])


def command_of(process: psutil.Process) -> list[str]:
    """Its arguments; none for a server process that ended since it was listed, as each session's does."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def wait_until(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_lifeline_works_where_the_kernel_does_not_help():
    """The pipe alone: the reader computes without pause and is killed when the writing end is closed."""
    script = (
        "import sys, lab.search.lifeline as lifeline\n"
        "lifeline.PR_SET_PDEATHSIG = 0\n"
        "lifeline.end_with_parent(int(sys.argv[1]))\n"
        "print('here', flush=True)\n"
        "while True: pass\n"
    )
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(reading)], pass_fds=[reading], stdout=subprocess.PIPE, text=True
    )
    os.close(reading)
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    os.close(writing)
    assert child.wait(20) == -signal.SIGKILL
    child.stdout.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_demonstration_ends_when_its_server_is_gone(workers):
    """What was found until then has been shown; the rest would only say the same, once for each scenario."""
    jobs = [("right", Job(RIGHT, "random", 5))] * 20
    lines = []

    async def hunt(own: Server) -> None:
        async for line in hunt_everything(own, Place(), jobs, workers):
            lines.append(line)
            with contextlib.suppress(ProcessLookupError):
                os.kill(own.pid, signal.SIGKILL)

    with embedded_server(clock=False) as own, pytest.raises(ServerError, match="cannot connect to"):
        await hunt(own)
    assert 1 <= len(lines) <= 1 + 2 * workers
