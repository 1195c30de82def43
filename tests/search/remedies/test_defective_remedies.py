"""Where the lab is wrong itself while it tries remedies, it says so, and what was found stands."""

from __future__ import annotations

import pytest

from lab.model.remedy import NOT_RUN
from lab.postgres.locks.remedy_locks import Locking
from lab.search.job import Job
from lab.search.remedies import trials
from lab.search.remedies.curable import curable
from lab.search.remedies.kind import Kind
from lab.search.remedies.trials import try_remedies
from lab.search.workers import perform

JOB = Job("scenarios.isolation:LostUpdateAnomaly", executions=12, refine=False)
DEFECT = "which is a defect of its own (KeyError: 'no such thing'"


def breaks(*_: object) -> None:
    raise KeyError("no such thing")


@pytest.fixture(scope="module")
async def failure(explorer):
    found = curable(JOB, (await perform(explorer, JOB)).result)
    assert found is not None
    return found


async def test_a_lock_that_the_lab_cannot_put_there_is_no_error_of_the_actor(explorer, failure, monkeypatch):
    """The remedy has no verdict, instead of one that it does not help; the others have theirs."""
    monkeypatch.setattr(Locking, "read", breaks)
    tried = {each.name: each for each in (await try_remedies(explorer, JOB, failure, breaks_not)).tried}
    locked = tried["SELECT … FOR UPDATE on account"]
    assert locked.verdict == "inconclusive"
    assert locked.reason.startswith(f"the lab could not put a lock there, {DEFECT}")
    assert tried["SERIALIZABLE with a retry loop"].reason.startswith("the lab could not put a lock there")


def breaks_not(*_: object) -> None:
    """Progress of no interest."""


async def test_advice_that_cannot_be_found_leaves_the_rest(explorer, failure, monkeypatch):
    """Its kind is named, with the reason."""
    kinds = trials.kinds_against("invariant")
    monkeypatch.setattr(trials, "kinds_against", lambda _: [Kind("odd advice", advises=breaks), *kinds])
    tried = {each.name: each for each in (await try_remedies(explorer, JOB, failure, breaks_not, seconds=0)).tried}
    assert tried["odd advice"].verdict == NOT_RUN
    assert DEFECT in tried["odd advice"].reason
    assert tried["a version check on account (version_id_col)"].verdict == NOT_RUN


async def test_remedies_that_cannot_be_found_end_in_a_sentence(explorer, failure, monkeypatch):
    """None is tried, and the hunt goes on."""
    monkeypatch.setattr(trials, "kinds_against", lambda _: [Kind("odd", breaks)])
    remedies = await try_remedies(explorer, JOB, failure, breaks_not)
    assert remedies.trouble.startswith(f"the lab could not find out what could help, {DEFECT}")


async def test_a_trial_that_breaks_leaves_the_others(explorer, failure, monkeypatch):
    """It has no verdict."""
    broken = Kind("level", trials.kinds_against("invariant")[1].runs, idle=breaks)
    monkeypatch.setattr(trials, "kinds_against", lambda _: [broken])
    remedies = await try_remedies(explorer, JOB, failure, breaks_not)
    assert remedies.tried
    assert all(each.verdict == "inconclusive" and DEFECT in each.reason for each in remedies.tried)
