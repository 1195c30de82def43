"""When an application is started and stopped, and what it may not leave behind."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import bank
import pytest
from asked import found, twice
from fastapi import FastAPI
from helpers.kit import Order, replays
from sqlalchemy import text

import lab
from lab import invariant
from lab.errors import ScenarioError
from lab.explore import Explorer


@pytest.fixture
def events():
    bank.started.clear()
    return bank.started


async def test_by_default_the_application_lives_for_one_execution(explorer, events):
    """What it keeps in its state begins anew, so executions replay; its own engine reaches the lab's database."""
    scenario = twice(bank.living, "POST /count")
    record = await explorer.run(scenario, Order())
    assert [record.outcome.results[name].value for name in ("alice", "bob")] == [
        (200, {"requests": 1, "opened": 100, "balance": 70}),
        (200, {"requests": 2, "opened": 100, "balance": 40}),
    ]
    assert record.unsteady == ""
    assert await replays(explorer, record)
    assert events == ["start", "stop"] * (len(events) // 2)


async def test_a_race_for_what_the_application_keeps_is_found(explorer):
    """Beside the rows, and it replays."""
    failure = await found(explorer, twice(bank.living, "POST /count"))
    assert failure.anomaly == "P4"


async def test_the_application_is_still_up_for_the_invariants(explorer, events):
    """They see what its state became by the requests."""

    async def state_is_kept(self, client):
        events.append("asked")
        assert (await client.post("/count")).json()["requests"] == 3

    scenario = twice(bank.living, "POST /count", state_is_kept=invariant(state_is_kept), as_if_one_by_one=None)
    record = await explorer.run(scenario, Order())
    assert not record.broken
    assert events[-3:] == ["start", "asked", "stop"]


async def test_for_a_hunt_it_is_started_once(server, events):
    """Its state outlives executions, which the lab notices: two equal runs give not the same."""
    explorer = Explorer(server)
    record = await explorer.run(twice(lab.http(bank.living, lifespan="hunt"), "POST /count"), Order())
    assert "what alice returned at json.requests" in record.outcome.learnt
    assert events == ["start", "stop", "start"], "the first is of the setup"
    await explorer.aclose()
    assert events[3:] == ["stop"]


async def test_without_a_lifespan_nothing_is_started(explorer, events):
    """So its endpoints have no state."""
    record = await explorer.run(twice(lab.http(bank.living, lifespan=None), "POST /count"), Order())
    assert "AttributeError" in record.outcome.results["alice"].text
    assert events == []


async def test_it_is_stopped_where_an_execution_is_broken_off(explorer, events):
    """Here by an error of the scheduler."""

    class Fails(Order):
        def choose(self, choices):
            raise LookupError

    with pytest.raises(LookupError):
        await explorer.run(twice(bank.living, "POST /count"), Fails())
    assert events == ["start", "stop"] * (len(events) // 2)


def app_with(lifespan):
    app = FastAPI(lifespan=asynccontextmanager(lifespan))
    app.include_router(bank.app.router)
    return twice(app, "POST /withdrawals")


async def test_what_it_writes_at_its_start_is_there_for_the_actors_and_gone_before_the_next(explorer):
    """Rows of an execution's start are no rows of the next execution's beginning."""

    async def opens(app):
        async with bank.sessions() as session, session.begin():
            await session.execute(text("UPDATE account SET balance = balance + 1 WHERE id = 1"))
        yield

    first = await explorer.run(app_with(opens), Order())
    assert first.outcome.results["alice"].value == (201, {"balance": 71}), "the setup's start came before the rows"
    assert await replays(explorer, first)


async def test_one_that_does_not_start_or_stop_says_why_and_where(explorer):
    """In one sentence, with the line of the application."""

    async def refuses(app):
        raise KeyError("no configuration")
        yield

    async def clings(app):
        yield
        raise KeyError("still busy")

    with pytest.raises(ScenarioError, match=r"did not start: KeyError: 'no configuration' \(.*test_lifespan.py:\d+"):
        await explorer.run(app_with(refuses), Order())
    with pytest.raises(ScenarioError, match=r"did not stop: KeyError: 'still busy' \(.*test_lifespan.py:\d+"):
        await explorer.run(app_with(clings), Order())


async def test_a_task_that_goes_on_beside_the_requests_is_refused(explorer):
    """No schedule decides when it does what; the sentence names where it stands."""

    async def polls(app):
        async def poll():
            await asyncio.sleep(3600)

        task = asyncio.create_task(poll())
        yield
        task.cancel()

    with pytest.raises(
        ScenarioError, match=r"a task that goes on beside its requests.*lifespan=None.*test_lifespan.py"
    ):
        await explorer.run(app_with(polls), Order())
