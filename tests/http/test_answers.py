"""What an answer or an exception of the application makes of its actor."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass

import bank
import pytest
from asked import Roots, found, twice
from bank import Bank
from helpers.kit import Order, replays
from sqlalchemy.orm.exc import StaleDataError

import lab
from lab import actor
from lab.model.outcome import ResultKind
from lab.model.remedy import Remedy

LAST_COMMITS_FIRST = "alice bob bob bob alice"
"""Both read, bob writes and commits, then alice writes."""
APPS = pytest.mark.parametrize("app", [bank.app, bank.within], ids=["plain", "within middleware"])


async def test_an_exception_keeps_its_traceback_and_ends_the_actor(explorer):
    """As an error that nobody expects; the traceback ends at the line of the application."""
    failure = await found(explorer, twice(bank.app, "POST /broken", judged=False))
    assert failure.report.startswith("UNEXPECTED ERROR  LookupError: 100 became 98")
    record = await explorer.run(twice(bank.app, "POST /broken", judged=False), Order("alice bob bob bob bob alice"))
    error = record.outcome.results["alice"].error
    assert 'raise LookupError(f"{first} became {second}")' in "".join(traceback.format_exception(error))


@APPS
async def test_an_answer_from_500_on_is_a_violation(explorer, app):
    """Also one that no exception led to."""
    failure = await found(explorer, twice(app, "POST /down", judged=False))
    assert 'UnexpectedAnswer: POST /down answered 503 {"detail": "down"}' in failure.report


ALLOWED = {
    "application": {"app": lab.http(bank.app, allows=(503,))},
    "scenario": {"allows": (503,)},
}


@pytest.mark.parametrize("where", ALLOWED)
async def test_unless_it_is_allowed(explorer, where):
    """Then it is a result like any other."""
    record = await explorer.run(twice(bank.app, "POST /down", judged=False, **ALLOWED[where]), Order())
    assert not record.findings
    assert record.outcome.results["bob"].value == (503, {"detail": "down"})


async def test_where_500_is_allowed_an_exception_is_that_answer(explorer):
    """The client sees what it would see."""
    scenario = twice(lab.http(bank.app, allows=(500,)), "POST /broken", judged=False)
    record = await explorer.run(scenario, Order("alice bob bob bob bob alice"))
    assert {each.text for each in record.outcome.results.values()} == {"200", '500 "Internal Server Error"'}


async def test_where_500_is_allowed_work_behind_an_answer_must_not_fail(explorer):
    """Its client had another answer."""
    record = await explorer.run(twice(lab.http(bank.app, allows=(500,)), "POST /failing-behind", judged=False), Order())
    assert record.outcome.results["alice"].text == "LookupError: behind"


async def test_what_an_actor_handles_itself_is_no_refusal_of_what_it_asks(explorer):
    """Whoever asks again in the handler of an exception is answered for that request alone."""

    @dataclass(frozen=True)
    class Handles(Bank):
        app = lab.http(bank.app)

        @actor(names=("alice", "bob"))
        async def ask(self, client, name):
            try:
                await self._fail()
            except StaleDataError:
                return await client.post("/sold-out")

        async def _fail(self):
            raise StaleDataError

    record = await explorer.run(Handles(), Order())
    assert record.outcome.results["alice"].value == (409, {"detail": "sold out"})


@APPS
@pytest.mark.parametrize("how", ["raised", "handled", "http", "returned"])
async def test_what_the_application_answers_to_a_refusal_is_an_abort(explorer, app, how):
    """40001 is no violation whether it is raised, handled (500), made an HTTPException (409) or an answer (503)."""
    scenario = twice(app, f"POST /refusing/{how}", judged=app is bank.app, isolation="REPEATABLE READ")
    record = await explorer.run(scenario, Roots(LAST_COMMITS_FIRST))
    assert not record.findings
    alice = record.outcome.results["alice"]
    assert (alice.kind, alice.sqlstate) == (ResultKind.ABORTED, "40001")
    if how != "raised":
        status = {"handled": 500, "http": 409, "returned": 503}[how]
        assert alice.text.startswith(f"Refused: POST /refusing/{how} answered {status} {{")
    assert await replays(explorer, record)


@APPS
async def test_a_stale_version_that_the_application_answers_is_an_abort(explorer, app):
    """Nothing of it is known to the server."""
    scenario = twice(app, "POST /seats/NAME", judged=app is bank.app)
    record = await explorer.run(scenario, Roots(LAST_COMMITS_FIRST))
    assert record.outcome.results["alice"].kind is ResultKind.ABORTED
    assert not record.findings


async def test_an_actor_may_try_again_what_was_refused(explorer):
    """The answer is a response for its code; only the last one counts."""

    @dataclass(frozen=True)
    class Again(Bank):
        isolation = "REPEATABLE READ"
        app = lab.http(bank.app)
        as_if_one_by_one = lab.serializable()

        @actor(names=("alice", "bob"))
        async def ask(self, client, name):
            while (response := await client.post("/refusing/returned")).status_code == 503:
                pass
            return response

    record = await explorer.run(Again(), Order(LAST_COMMITS_FIRST))
    assert record.outcome.results["alice"].value == (200, {"balance": 40})
    assert not record.findings


async def test_raise_for_status_says_that_it_was_refused(explorer):
    """It is no error of its own then."""

    @dataclass(frozen=True)
    class Raises(Bank):
        isolation = "REPEATABLE READ"
        app = lab.http(bank.app)

        @actor(names=("alice", "bob"))
        async def ask(self, client, name):
            (await client.post("/refusing/http")).raise_for_status()

    record = await explorer.run(Raises(), Order(LAST_COMMITS_FIRST))
    assert record.outcome.results["alice"].sqlstate == "40001"
    assert not record.findings


async def test_a_retry_loop_helps_against_an_answered_refusal(explorer):
    """The remedy takes the request again, as it would take a refused function again."""
    scenario = twice(bank.app, "POST /refusing/http", isolation="REPEATABLE READ")
    record = await explorer.run(scenario, Order(LAST_COMMITS_FIRST), remedy=Remedy("retry", attempts=3))
    assert record.outcome.results["alice"].value == (200, {"balance": 40})


async def test_the_report_names_the_line_that_raised(explorer):
    """Of the application, also where a handler made an answer of what was raised."""
    failure = await found(explorer, twice(bank.app, "POST /broken", judged=False))
    assert re.search(r"raised: LookupError: 100 became 98  bank.py:\d+\n", failure.report)
    failure = await found(explorer, twice(bank.app, "POST /failing", judged=False))
    assert re.search(
        r'raised: UnexpectedAnswer: POST /failing answered 500 \{"detail": "internal"\}  bank.py:\d+\n', failure.report
    )
