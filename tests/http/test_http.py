"""Requests as actors: what may surround the statements of an endpoint, each with a race through it and its replay."""

from __future__ import annotations

from dataclasses import dataclass

import bank
import httpx
import pytest
from asked import Roots, found, twice
from bank import Bank
from helpers.kit import Order, of, replays

import lab
from lab import actor, invariant
from lab.model.answer import Answer
from lab.search.hunt import Hunt

UPDATED = "UPDATE account SET balance = 70 WHERE id = 1"
LOST = 'returned 201 {"balance": 70}'


@pytest.mark.parametrize("app", [bank.app, bank.plain], ids=["FastAPI", "Starlette"])
async def test_a_request_twice_against_itself(explorer, app):
    """Two of the same request lose an update; what each was answered is compared with serial runs."""
    failure = await found(explorer, twice(app, "POST /withdrawals"))
    assert failure.anomaly == "P4"
    assert failure.execution <= 3
    assert f'alice {LOST}; after bob, then alice, it returned 201 {{"balance": 40}}' in failure.report


async def test_an_application_without_a_framework_is_asked_as_well(explorer):
    """It knows nothing of a lifespan, which is no error; what it answers without a type is a text."""
    failure = await found(explorer, twice(bank.asgi, "POST /withdrawals"))
    assert 'alice returned 201 "70"' in failure.report


async def test_middleware_that_starts_a_task_group_is_part_of_the_actor(explorer):
    """Of `BaseHTTPMiddleware`, whose endpoint runs in a task: its lines are the user's, its statements are steps."""
    failure = await found(explorer, twice(bank.within, "POST /withdrawals"))
    assert LOST in failure.report
    record = await explorer.run(twice(bank.within, "POST /withdrawals"), Order(), origins=True)
    assert {each.file for each in record.origins} == {"tests/http/bank.py"}
    assert {each.function for each in record.origins} == {"take", "a_session", "timed"}


async def test_a_dependency_that_commits_behind_the_answer_is_part_of_the_actor(explorer):
    """The COMMIT is a step, and the line of it is the dependency's."""
    record = await explorer.run(twice(bank.app, "POST /withdrawals"), Order(), origins=True)
    assert [each.split()[0] for each in of(record, "alice")] == ["SELECT", "UPDATE", "COMMIT"]
    assert [each.function for each in record.origins[:3]] == ["take", "take", "a_session"]


async def test_work_in_the_background_is_part_of_the_actor_until_it_ends(explorer):
    """What it loses is a violation, although the answer was given before."""
    failure = await found(explorer, twice(bank.app, "POST /in-background"))
    assert "account 2 holds (2,99)" in failure.report
    assert 'alice returned 202 {"state": "accepted"}' in failure.report


async def test_what_is_asked_while_the_application_works_behind_its_answer_is_named_as_not_searched(explorer):
    """A client has its answer when that work is done. The last request of an actor says nothing of the kind."""
    record = await explorer.run(twice(bank.app, "POST /withdrawals", "POST /in-background"), Order())
    (named,) = record.unsearched
    assert named.startswith(
        "what a client asks while the application still works behind its answer to POST /withdrawals"
    )


async def test_a_streamed_answer_is_read_to_its_end(explorer):
    """Its statements are steps, and what it streamed is the result."""
    failure = await found(explorer, twice(bank.app, "GET /streamed"))
    assert r'alice returned 200 "100\n70\n"' in failure.report


async def test_an_endpoint_that_is_a_plain_function_runs_in_a_thread_and_replays(explorer):
    """Its thread is a part of the step that it is called in, so everybody waits for it."""
    record = await explorer.run(twice(bank.app, "POST /computed"), Order(), recorded=True)
    assert record.outcome.results["alice"].value == (200, {"thread": "worker"})
    failure = await found(explorer, twice(bank.app, "POST /half-in-a-thread"))
    assert 'alice returned 200 {"digest": 0}' in failure.report


async def test_a_websocket_is_part_of_the_actor(explorer):
    """Its endpoint runs in a task of the actor's, and ends with the block."""

    @dataclass(frozen=True)
    class Sockets(Bank):
        app = lab.http(bank.app)
        as_if_one_by_one = lab.serializable()

        @actor(names=("alice", "bob"))
        async def talk(self, client, name):
            async with client.websocket("/socket") as socket:
                await socket.send_json(30)
                return await socket.receive_json()

    failure = await found(explorer, Sockets())
    assert "alice returned {'balance': 70}" in failure.report


async def test_a_websocket_that_is_refused_or_breaks_says_so(explorer):
    """To its client, with code and reason; what the application raises goes through, as of a request."""

    @dataclass(frozen=True)
    class Sockets(Bank):
        app = lab.http(bank.app)

        @actor
        async def refused(self, client):
            async with client.websocket("/refusing-socket?how=closes", headers={"x-a": "b"}):
                pass

        @actor
        async def broken(self, client):
            async with client.websocket("/refusing-socket?how=raises", subprotocols=("chat",)) as socket:
                assert socket.subprotocol == "chat"
                await socket.receive_text()

    results = (await explorer.run(Sockets(), Order())).outcome.results
    assert results["refused"].text == "Closed: the application closed the websocket with code 1008: not you"
    assert results["broken"].text == "LookupError: no such room"


async def test_a_thread_that_goes_back_to_the_event_loop_is_waited_for(explorer):
    """Its statements there are steps of a task of the actor's."""
    failure = await found(explorer, twice(bank.app, "POST /from-a-thread"))
    assert failure.anomaly == "P4"


@pytest.mark.parametrize("fault", ["cancel", "kill"])
async def test_a_fault_strikes_a_request(explorer, fault):
    """Nothing is left of what it did, and the next execution is as before."""
    scenario = twice(bank.within, "POST /withdrawals", faults=(fault,), judged=False)
    whole = await explorer.run(scenario, Order())
    record = await explorer.run(scenario, Roots(f"alice alice {fault}@alice"))
    assert not record.findings
    assert (await explorer.run(scenario, Order())).same_as(whole)


async def test_each_client_has_cookies_and_headers_of_its_own(explorer):
    """A cookie that is marked as secure comes back, and only to whom it was given."""

    @dataclass(frozen=True)
    class Known(Bank):
        app = lab.http(bank.app)
        as_if_one_by_one = lab.serializable()

        @actor(names=("alice", "bob"))
        async def log_in(self, client, name):
            await client.post(f"/login/{name}")
            client.headers["x-tenant"] = f"of {name}"
            return await client.post("/mine")

    failure = await found(explorer, Known())
    for name in ("alice", "bob"):
        assert f'{name} returned 201 {{"who": "{name}", "tenant": "of {name}", "balance": 70}}' in failure.report


async def test_setup_and_invariants_have_a_client_too(explorer):
    """The setup makes its rows by requests, and an invariant asks the application."""

    @dataclass(frozen=True)
    class Asked(Bank):
        app = lab.http(bank.app)

        async def setup(self, session, client):
            await super().setup(session)
            await session.commit()
            assert (await client.post("/withdrawals")).status_code == 201

        @actor(names=("alice", "bob"))
        async def withdraw(self, client, name):
            await client.post("/withdrawals")

        @invariant
        async def no_withdrawal_is_lost(self, client):
            assert (await client.get("/balance")).json() == 10

    failure = await found(explorer, Asked())
    assert failure.broken == "no withdrawal is lost"


async def test_the_result_is_status_and_json(explorer):
    """Of a response that is returned, or of the last one; an invariant sees a pair."""

    @dataclass(frozen=True)
    class Pairs(Bank):
        app = lab.http(bank.app)

        @actor
        async def returned(self, client):
            first = await client.get("/balance")
            await client.post("/withdrawals")
            return first

        @actor
        async def last(self, client):
            await client.get("/balance")
            await client.post("/withdrawals")

        @actor
        async def several(self, client):
            return [await client.get("/nowhere"), {"both": await client.post("/login/me")}]

    record = await explorer.run(Pairs(), Order())
    values = {name: result.value for name, result in record.outcome.results.items()}
    assert values == {
        "returned": (200, 100),
        "last": (201, {"balance": 40}),
        "several": [(404, {"detail": "Not Found"}), {"both": (200, None)}],
    }
    assert isinstance(values["last"], Answer)
    assert record.outcome.results["several"].text == '[404 {"detail": "Not Found"}, {\'both\': 200}]'
    assert await replays(explorer, record)


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("app", "path", "executions"),
    [
        pytest.param(bank.app, "/withdrawals", 7, id="dependency"),
        pytest.param(bank.app, "/all", 15, id="dependency and background"),
        pytest.param(bank.within, "/all", 27, id="dependency, background and middleware", marks=LONG),
    ],
)
async def test_a_client_takes_no_more_executions_than_one_made_by_hand(explorer, app, path, executions):
    """The same request twice, under reduction, which comes to its end."""

    async def ask(self, name):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            return (await client.post(path)).json()

    by_hand = twice(app, judged=False, ask=actor(names=("alice", "bob"))(ask))
    for scenario in (by_hand, twice(app, f"POST {path}", judged=False)):
        result = await Hunt.of(scenario, scheduler="dpor").run(explorer)
        assert (result.exhausted, result.executions) == (True, executions)
