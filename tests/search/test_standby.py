"""A worker process that is there before there is work for it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from concurrent.futures import CancelledError
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import asyncpg
import psutil
import pytest
from helpers.lab_program import CASES, PROGRAM, environment, temporary_folder

from lab.analysis.tally import HuntResult
from lab.postgres.server.cluster import PREFIX
from lab.postgres.server.place import Place
from lab.search.fresh import FreshCheck, tried_in_fresh_processes
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.standby import Standby, core_to_spare
from lab.search.workers import perform

LOST = Job("scenarios.transfer:LostUpdate", executions=50)
ENDLESS = Job("scenarios.transfer:LockedTransfer", "random", executions=1_000_000)


@pytest.fixture(scope="module")
async def hunted(explorer) -> HuntResult:
    """A failure as a hunt reports it."""
    return (await perform(explorer, LOST)).result


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for each in process.children(recursive=True):
        try:
            found += [each] if "lab.search.workers" in each.cmdline() else []
        except psutil.NoSuchProcess:
            continue
    return found


async def started() -> psutil.Process:
    """The one worker process of this one, as soon as there is one."""
    while not (found := workers_of(psutil.Process())):  # noqa: ASYNC110 - another process sets no event of ours
        await asyncio.sleep(0.01)
    (process,) = found
    return process


async def test_one_process_is_there_before_the_first_job_and_does_them_all(hunted, server):
    """It is fresh until it is asked, and what it answers is what a worker answers."""
    once = replace(LOST, token=hunted.failures[0].token)
    async with aclosing(Standby(Place().of(server))) as standby:
        before = await started()
        assert standby.is_fresh
        answers = [await asyncio.wrap_future(standby.ask(once)) for _ in range(2)]
        assert not standby.is_fresh
        assert await started() == before
    assert [each.result.failures[0].key for each in answers] == [hunted.failures[0].key] * 2
    assert not before.is_running()


async def test_one_that_got_ready_is_fresh_still_and_its_first_execution_is_that_of_the_token(hunted, server):
    """It has made the tables and two runs that no process does without; what it answers is what any answers."""
    once = replace(LOST, token=hunted.failures[0].token)
    async with aclosing(Standby(Place().of(server))) as standby:
        ready = await asyncio.wrap_future(standby.ask(replace(once, ahead=True)))
        assert (ready.error, ready.result.executions, ready.result.failures) == ("", 0, [])
        assert standby.is_fresh
        answer = await asyncio.wrap_future(standby.ask(once))
        assert not standby.is_fresh
    assert [each.key for each in answer.result.failures] == [hunted.failures[0].key]
    assert answer.result.executions == 1


async def test_one_that_is_only_to_get_ready_and_cannot_is_replaced_by_another_one(hunted, server):
    """Its scenario ends the process as it is imported, for example. That says nothing of the token either."""
    result = replace(hunted, failures=list(hunted.failures))
    async with aclosing(Standby(Place().of(server))) as standby:
        standby.ask(replace(LOST, token=hunted.failures[0].token, ahead=True))
        (await started()).kill()
        await tried_in_fresh_processes(Place().of(server), LOST, result, standby)
    assert result.failures[0].fresh_process is True


async def test_on_a_server_given_by_url_one_that_only_got_ready_drops_its_database(hunted, server):
    """It is not killed as one that has nothing to put away."""
    before = await databases(server)
    async with aclosing(Standby(Place(f"postgresql://postgres@/postgres?host={server.folder / 's'}"))) as standby:
        await asyncio.wrap_future(standby.ask(replace(LOST, token=hunted.failures[0].token, ahead=True)))
        made = await databases(server) - before  # beside it the process of another test may be dropping its own
        assert made
    assert made.isdisjoint(await databases(server))


async def databases(server) -> set[str]:
    connection = await asyncpg.connect(**server.connect)
    rows = await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", PREFIX)
    await connection.close()
    return {row[0] for row in rows}


async def test_one_that_is_asked_nothing_leaves(server):
    async with aclosing(Standby(Place().of(server))):
        process = await started()
    assert not process.is_running()


async def test_one_that_is_left_in_the_middle_of_a_job_ends_and_gives_what_it_saw(server):
    async with aclosing(Standby(Place().of(server))) as standby:
        answer = standby.ask(ENDLESS)
        process = await started()
    assert not process.is_running()
    assert answer.cancelled() or answer.result().result.trouble == INTERRUPTED
    with pytest.raises(CancelledError):
        standby.ask(LOST).result()


async def test_where_it_was_ended_the_check_is_made_by_another_process(hunted, server):
    """An actor may end every process that it finds; that says nothing about the token."""
    result = replace(hunted, failures=list(hunted.failures))
    async with aclosing(Standby(Place().of(server))) as standby:
        (await started()).kill()
        await tried_in_fresh_processes(Place().of(server), LOST, result, standby)
    assert result.failures[0].fresh_process is True


async def test_a_check_of_which_nothing_came_leaves_no_process(hunted, server):
    """A failure was met, and then the hunt was broken off."""
    async with aclosing(FreshCheck(Place().of(server), LOST)) as check:
        check.expect(hunted.failures[0])
        process = await started()
        assert check.is_over
        assert check.helper() is None
    assert not process.is_running()


async def test_it_is_of_use_to_others_when_the_check_is_over(hunted, server):
    result = replace(hunted, failures=list(hunted.failures))
    async with aclosing(FreshCheck(Place().of(server), LOST)) as check:
        check.expect(hunted.failures[0])
        check.begin(result)
        await check.over()
        assert check.helper() is check.standby is not None
    assert result.failures[0].fresh_process is True


GONE_SECONDS = 5.0
"""What is promised when the lab is killed."""


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_it_goes_with_the_lab(number):
    """Ended while the failure is minimised, which is when it starts: processes and folders are gone."""
    with temporary_folder() as folder:
        command = [PROGRAM, "hunt", "scenarios.transfer:LostUpdate"]
        with subprocess.Popen(
            command, cwd=CASES.parents[1], env=environment(TMPDIR=str(folder)),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            lab = psutil.Process(process.pid)
            while not workers_of(lab):
                assert process.poll() is None
            family = lab.children(recursive=True)
            process.send_signal(number)
            process.wait()
        until = time.monotonic() + GONE_SECONDS
        while (any(map(is_there, family)) or list(Path(folder).iterdir())) and time.monotonic() < until:
            time.sleep(0.002)
        assert not [each for each in family if is_there(each)]
        assert list(Path(folder).iterdir()) == []


def is_there(process: psutil.Process) -> bool:
    """A zombie has nothing left but its number."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    ("cores", "load", "spare"), [({0}, 0.0, False), ({0, 1}, 0.5, True), ({0, 1}, 2.0, False), ({0, 1, 2}, 2.0, True)]
)
def test_it_begins_early_only_where_a_core_is_idle(cores, load, spare, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: cores, raising=False)
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    assert core_to_spare() is spare


async def test_one_that_was_started_early_begins_when_its_server_is_known(hunted, server):
    """It imports meanwhile. What it answers is what a worker answers."""
    once = replace(LOST, token=hunted.failures[0].token)
    async with aclosing(Standby()) as early:
        before = await started()
        async with aclosing(FreshCheck(Place().of(server), LOST, early)) as check:
            check.expect(hunted.failures[0])
            assert check.standby is early
            answer = await asyncio.wrap_future(early.ask(once))
            assert await started() == before
    assert answer.result.failures[0].key == hunted.failures[0].key
    assert not before.is_running()


async def test_one_that_was_started_early_and_is_not_needed_is_gone_at_once():
    """The scenario was not found, for example: its server was never said."""
    async with aclosing(Standby()):
        process = await started()
    assert not process.is_running()


async def test_where_no_process_can_be_started_early_another_one_is_tried_when_it_is_needed(
    hunted, server, monkeypatch
):
    async def fails(lifeline: int) -> None:
        raise BlockingIOError("no room for another process")

    monkeypatch.setattr("lab.search.child.start", fails)
    result = replace(hunted, failures=list(hunted.failures))
    async with aclosing(Standby()) as early:
        await early._beside.over()
        async with aclosing(FreshCheck(Place().of(server), LOST, early)) as check:
            check.expect(hunted.failures[0])
            check.begin(result)
            await check.over()
    assert result.failures[0].fresh_process is True
