"""What a hunt found is tried in a process that has run nothing, and the report says what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from helpers.lab_program import CASES
from helpers.processes import worker_processes

from lab.analysis.tally import HuntResult
from lab.explore import Conditions
from lab.model.replay_token import decode
from lab.postgres.server.place import Place
from lab.report.fresh import Fresh, with_fresh
from lab.search.fresh import _command, tried_in_fresh_processes
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.workers import perform

LOST = Job("scenarios.transfer:LostUpdate", executions=50)
SPOILT = Job("left_behind:Spoilt", executions=50)


@pytest.fixture
def _cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES)
    monkeypatch.syspath_prepend(CASES)


async def found(explorer, job: Job) -> HuntResult:
    """What a hunt in this process found."""
    done = await perform(explorer, job)
    assert len(done.result.failures) == 1, done.error
    return done.result


@pytest.fixture(scope="module")
async def hunted(explorer) -> HuntResult:
    """A failure as a hunt reports it, for all tests."""
    return await found(explorer, LOST)


@pytest.fixture
def lost(hunted) -> HuntResult:
    """What a test may change."""
    return replace(hunted, failures=list(hunted.failures))


async def test_a_failure_that_a_fresh_process_repeats_says_so(lost, server):
    result = lost
    assert result.failures[0].fresh_process is None
    await tried_in_fresh_processes(Place().of(server), LOST, result)
    (failure,) = result.failures
    assert (failure.fresh_process, failure.reproduced_by) == (True, "")
    assert " · replayed 5/5 identical and in a fresh process\n" in failure.report


@pytest.mark.usefixtures("_cases")
async def test_a_failure_of_what_was_left_in_a_module_names_the_schedule_that_leaves_it(explorer, server):
    """Once spoilt, every schedule fails here, so the smallest is a serial one, which is right in a fresh process."""
    result = await found(explorer, SPOILT)
    await tried_in_fresh_processes(Place().of(server), SPOILT, result)
    (failure,) = result.failures
    assert failure.fresh_process is False
    assert failure.reproduced_by == f"lab replay {failure.found_token}"
    assert len(decode(failure.found_token).schedule.runs) > len(decode(failure.token).schedule.runs)
    assert " · replayed 5/5 identical, but not in a fresh process\n" in failure.report
    assert "\n\nState of the process is involved: in a fresh process the token passes, so " in failure.report
    assert failure.report.endswith(f"\nIn a fresh process this reproduces it: {failure.reproduced_by}")


@pytest.mark.usefixtures("_cases")
async def test_a_failure_that_needs_the_executions_before_it_names_the_hunt(explorer, server):
    job = Job("left_behind:Full", "random", executions=50, seed=3)
    result = await found(explorer, job)
    result.failures[0] = replace(result.failures[0], found_token=result.failures[0].token)
    await tried_in_fresh_processes(Place().of(server), job, result)
    (failure,) = result.failures
    assert (failure.fresh_process, failure.execution) == (False, 4)
    assert failure.reproduced_by == "lab hunt left_behind:Full --seed 3 --executions 4 --scheduler random"


def test_the_command_of_a_hunt_says_all_that_is_not_the_default():
    conditions = Conditions("SERIALIZABLE", breakpoints=False, checks=("serial",))
    job = Job("shop:It's", "pct", 7, keep_going=True, options={"depth": 2}, conditions=conditions)
    assert _command(job) == (
        "lab hunt 'shop:It'\"'\"'s' --seed 0 --executions 7 --scheduler pct --depth 2 "
        "--isolation SERIALIZABLE --check serial --no-breakpoints --keep-going"
    )


async def test_where_nothing_reproduces_a_failure_the_report_says_what_was_tried(lost):
    (failure,) = lost.failures
    alone = with_fresh(failure, Fresh(reproduced=False, instead="diverges"))
    assert "in a fresh process the token diverges, so" in alone.report
    assert alone.report.endswith("; neither the schedule as it was found nor the same hunt reproduces it there")


async def test_a_failure_that_cannot_be_tried_is_shown_with_the_reason(lost):
    (failure,) = lost.failures
    untried = with_fresh(failure, Fresh(reproduced=None, instead="a worker process died: exit status 1"))
    assert untried.fresh_process is None
    assert untried.report == (
        f"{failure.report}\n\nIt could not be tried in a fresh process: a worker process died: exit status 1"
    )


async def test_an_interruption_meanwhile_keeps_the_failure_and_leaves_no_process(lost, server):
    result = lost
    before = result.failures[0]
    trying = asyncio.create_task(tried_in_fresh_processes(Place().of(server), LOST, result))
    while not (fresh := worker_processes()):  # noqa: ASYNC110 - another process sets no event of ours
        await asyncio.sleep(0.01)
    trying.cancel()
    await trying
    assert (result.trouble, result.failures) == (INTERRUPTED, [before])
    assert not any(each.is_running() for each in fresh)


async def test_nothing_is_tried_after_a_hunt_that_was_broken_off(lost, server):
    result = lost
    result.trouble = INTERRUPTED
    await tried_in_fresh_processes(Place().of(server), LOST, result)
    assert result.failures[0].fresh_process is None
