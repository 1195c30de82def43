"""A hunt that was broken off and goes on comes to what it would have come to at one go, with every scheduler."""

from __future__ import annotations

import asyncio
import json

import pytest

from lab.analysis.tally import HuntResult
from lab.schedulers import SCHEDULERS
from lab.search.hunt import INTERRUPTED, Hunt
from lab.search.job import Job
from lab.search.kept import keeping as of_keeping
from lab.search.kept.file import KeptFile
from lab.search.kept.keeping import Keeping
from lab.search.kept.resume import resumed
from lab.search.kept.store import Store
from scenarios.transfer import LostUpdate

pytestmark = pytest.mark.anyio

ABOUT = ({"lab": "1"}, "source")
"""Versions and digest of the source, which are the same before and after."""


def shown(result: HuntResult) -> dict[str, object]:
    """All that a program is shown, but for the time."""
    value = json.loads(json.dumps(result.shown()))
    return {name: each for name, each in value.items() if name != "seconds"}


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A file in which it is written after each execution how far a hunt is."""
    monkeypatch.setattr(of_keeping, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(of_keeping, "SHARE", 0)
    file = KeptFile.open(tmp_path / ".lab" / "hunts.sqlite")[0]
    yield Store(file)
    file.close()


async def broken_off(explorer, store, job: Job, after: int) -> str:
    """A hunt that is broken off after so many executions; returns its id."""
    hunt = store.begin(job, {}, *ABOUT)

    def progress(result: HuntResult) -> None:
        if result.executions == after:
            raise asyncio.CancelledError

    pen = Keeping(store, hunt, job, source=ABOUT[1], versions=ABOUT[0], say=pytest.fail)
    result = await Hunt(job.scenario(), job, progress, keeping=pen).run(explorer)
    assert (result.trouble, result.executions) == (INTERRUPTED, after)
    return hunt


async def gone_on(explorer, store, job: Job, hunt: str) -> HuntResult:
    point, why = resumed(store.checkpoint(hunt), job, ABOUT, ABOUT)
    assert point is not None, why
    pen = Keeping(store, hunt, job, source=ABOUT[1], versions=ABOUT[0], say=pytest.fail, resumed=point)
    return await Hunt(job.scenario(), point.rest(job), keeping=pen).run(explorer)


OFTEN = {"dpor", "portfolio", "random"}
"""One of each kind: a tree, a search that learns, samples. The others are tried with the long tests."""


@pytest.mark.parametrize(
    "scheduler",
    [each if each in OFTEN else pytest.param(each, marks=pytest.mark.long) for each in sorted(SCHEDULERS)],
)
async def test_what_is_broken_off_and_goes_on_gives_what_one_hunt_gives(explorer, store, scheduler):
    """No execution is made twice: each is counted once, and the numbers are those of the whole."""
    job = Job.of(LostUpdate(), scheduler=scheduler, executions=36, keep_going=True, refine=False)
    whole = await Hunt(job.scenario(), job).run(explorer)
    after = min(whole.executions - 1, 33)
    hunt = await broken_off(explorer, store, job, after) if after > 0 else ""
    if not hunt:
        pytest.skip("there is nothing left to go on with")
    assert shown(await gone_on(explorer, store, job, hunt)) == shown(whole)
