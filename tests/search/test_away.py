"""Searches under remedies that another process makes: only the time differs."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.model.footprint import Rows
from lab.model.remedy import Remedies, Remedy
from lab.postgres.server.place import Place
from lab.search.job import Job
from lab.search.remedies import away as module
from lab.search.remedies.away import search_of, searched_here
from lab.search.remedies.curable import curable
from lab.search.remedies.searched import Searched
from lab.search.remedies.trials import try_remedies
from lab.search.standby import Standby
from lab.search.workers import JobResult, perform

JOB = Job("scenarios.isolation:LostUpdateAnomaly", executions=12)
RETRY = Remedy("SERIALIZABLE with a retry loop", "SERIALIZABLE", 10)


@pytest.fixture(scope="module")
async def failure(explorer) -> ReportedFailure:
    found = curable(JOB, (await perform(explorer, JOB)).result)
    assert found is not None
    return found


@pytest.fixture(scope="module")
async def alone(explorer, failure) -> Remedies:
    """What this process finds out by itself."""
    return await try_remedies(explorer, JOB, failure, lambda *_: None)


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_cores", lambda: 2)


class Helper:
    """Another process, played: it answers with what is given, and notes what it was asked."""

    def __init__(self, answered: Any = None) -> None:
        self.asked: list[Job] = []
        self._answered = answered

    def ask(self, job: Job) -> Future[JobResult]:
        self.asked.append(job)
        answer: Future[JobResult] = Future()
        if self._answered is not None:
            self._answered(job, answer)
        return answer


def known(remedies: Remedies) -> list[tuple[Any, ...]]:
    """What was found out, but for how long it took."""
    return [
        (each.name, each.verdict, each.reason, each.note, each.complete)
        + (() if each.price is None else (each.price.executions, each.price.aborts, each.price.attempts))
        for each in remedies.tried
    ]


async def test_what_another_process_searched_is_what_this_one_would(explorer, server, failure, alone):
    """A real one: the same remedies in the same order, with the same verdicts after as many executions."""
    asked: list[Job] = []
    async with aclosing(Standby(Place().of(server))) as standby:
        ask = standby.ask

        def noted(job: Job) -> Future[JobResult]:
            asked.append(job)
            return ask(job)

        standby.ask = noted
        together = await try_remedies(explorer, JOB, failure, lambda *_: None, helper=lambda: standby)
    assert known(together) == known(alone)
    assert asked


@pytest.mark.parametrize("how", ["cancelled", "an error", "a worker that died"])
async def test_what_it_does_not_answer_is_searched_here(explorer, failure, alone, how):
    def answered(job: Job, answer: Future[JobResult]) -> None:
        if how == "cancelled":
            answer.cancel()
        elif how == "an error":
            answer.set_exception(OSError("no more processes"))
        else:
            answer.set_result(JobResult(job, alone_result(job), "a worker process died", 3))

    helper = Helper(answered)
    together = await try_remedies(explorer, JOB, failure, lambda *_: None, helper=lambda: helper)
    assert known(together) == known(alone)
    assert helper.asked


def alone_result(job: Job) -> HuntResult:
    return HuntResult(job.target, job.seed)


async def test_an_interruption_does_not_wait_for_it(explorer, failure):
    """It has what it does not answer; that remedy is marked as not run, as the others that were left."""
    helper = Helper()

    def progress(name: str, done: int) -> None:
        if helper.asked:
            asyncio.current_task().cancel()

    remedies = await try_remedies(explorer, JOB, failure, progress, helper=lambda: helper)
    (sent,) = helper.asked
    assert sent.remedy
    assert {"not run"} == {each.verdict for each in remedies.tried if each.reason == "interrupted"}
    assert any(each.reason == "interrupted" for each in remedies.tried)


async def test_who_waits_for_it_can_be_interrupted(explorer, failure):
    """The last search is there and does not end: Ctrl-C does."""
    helper = Helper()
    trying = asyncio.create_task(try_remedies(explorer, JOB, failure, lambda *_: None, helper=lambda: helper))
    over = asyncio.Event()

    async def wait(self: Any) -> None:
        over.set()
        await asyncio.Event().wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Away, "over", wait)
        await over.wait()
        trying.cancel()
        remedies = await trying
    assert [each.verdict for each in remedies.tried if each.reason == "interrupted"] == ["not run"]


async def test_one_core_makes_all_of_them(explorer, failure, monkeypatch):
    monkeypatch.setattr(module, "_cores", lambda: 1)
    helper = Helper()
    await try_remedies(explorer, JOB, failure, lambda *_: None, helper=lambda: helper)
    assert helper.asked == []


def sent_as_json(remedy: Remedy) -> Job:
    """The job as the other process has it."""
    job = search_of(JOB, remedy, "dpor", range(5), 60.0)
    assert job is not None
    sent = Job.load(json.loads(json.dumps(job.dump())))
    assert module.remedy_of(sent) == remedy
    return sent


async def test_a_search_goes_there_and_comes_back_as_lines_of_json(explorer):
    """The remedy with rows whose keys have a type that JSON has not; what was seen, with the counters of a hunt."""
    rows = Rows("account", (("id", frozenset({UUID(int=1)})),))
    assert sent_as_json(replace(RETRY, lock_first=(("alice", (rows,)),))).remedy
    seen = await searched_here(explorer, sent_as_json(RETRY))
    back = Searched.load(json.loads(json.dumps(seen.dump())))
    assert back.dump() == seen.dump()
    assert back.price(None) == seen.price(None)
    assert (back.result.executions, back.failed) == (5, None)


def test_a_remedy_that_cannot_be_sent_is_no_job():
    """Its rows have a value of the user's own."""
    rows = Rows("account", (("id", frozenset({lambda: 1})),))
    assert search_of(JOB, replace(RETRY, lock_first=(("alice", (rows,)),)), "dpor", range(5), 60.0) is None
