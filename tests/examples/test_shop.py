"""An application that was not written for the lab: its races are found through HTTP, and gone once they are mended."""

from __future__ import annotations

import subprocess
import sys

import asyncpg
import pytest
from shops import RACES, SHOP, copied

import lab
from lab import actor
from lab.explore import Conditions
from lab.model.replay_token import decode, scenario_of
from lab.search.hunt import Hunt
from lab.shrink.replays import replay_times

WITHIN = 5
MOST_TRACES = 10
MOST_LINES = 40

EXPLAINED = {
    "LastMug": (
        "read-modify-write",
        [("checkout.py", "select(Product)"), ("checkout.py", "session.commit()")],
    ),
    "LastCoupon": (
        "write skew by a predicate",
        [("coupons.py", "select(func.count())"), ("coupons.py", "session.scalars(statement)")],
    ),
    "FirstVisit": (
        "check-then-insert",
        [("carts.py", "select(Cart)"), ("carts.py", " " * 8 + "await session.commit()")],
    ),
    "PaidAndCancelled": (
        "write skew by a predicate",
        [("orders.py", "session.get(Order"), ("orders.py", "select(Payment)")],
    ),
    "GiftsBothWays": ("lock order", [("points.py", "customer = await session.scalar(statement)")]),
}
"""The cause that is named, and code on lines among those that it points at."""

SAFE = {
    "the same checkout twice": ("POST /customers/alice/checkout", "POST /customers/alice/checkout"),
    "more into the cart, twice": (
        'POST /customers/alice/cart/items {"sku": "PEN"}',
        'POST /customers/alice/cart/items {"sku": "PEN", "quantity": 2}',
    ),
    "into the cart at checkout": (
        "POST /customers/alice/checkout",
        'POST /customers/alice/cart/items {"sku": "MUG", "quantity": 2}',
    ),
    "goods come in twice": ('POST /products/MUG/restock {"quantity": 2}', 'POST /products/MUG/restock {"quantity": 3}'),
    "one name for two": (
        'POST /customers {"username": "dora", "email": "a@example.org"}',
        'POST /customers {"username": "dora", "email": "b@example.org"}',
    ),
    "two changes of a profile": (
        'PUT /customers/alice {"email": "a@example.org", "version": 1}',
        'PUT /customers/alice {"email": "b@example.org", "version": 1}',
    ),
    "points spent twice": (
        'POST /customers/alice/points/spend {"points": 60}',
        'POST /customers/alice/points/spend {"points": 70}',
    ),
    "points spent and given": (
        'POST /customers/alice/points/spend {"points": 60}',
        'POST /customers/alice/gifts {"to": "bob", "points": 60}',
    ),
    "paid twice": ("POST /orders/1/pay", "POST /orders/1/pay"),
    "cancelled twice": ("POST /orders/1/cancel", "POST /orders/1/cancel"),
    "shipped and cancelled": ("POST /orders/1/ship", "POST /orders/1/cancel"),
    "two pickers": ('POST /picking/next {"picker": "pat"}', 'POST /picking/next {"picker": "kim"}'),
    "a cart that is there": ("GET /customers/alice/cart", "GET /customers/alice/cart"),
}
"""Pairs of requests that the shop serves rightly."""
SHORT = {"into the cart at checkout", "goods come in twice", "paid twice", "shipped and cancelled", "two pickers"}
"""Of these, one of each kind of lock: those are tried in every run of the tests."""
PAID_FIRST = {"cancelled twice", "shipped and cancelled", "two pickers"}


@pytest.fixture(scope="module")
def as_it_is(tmp_path_factory):
    return copied(tmp_path_factory.mktemp("racy") / "shop", patched=False)


@pytest.fixture(scope="module")
def mended(tmp_path_factory):
    return copied(tmp_path_factory.mktemp("mended") / "shop", patched=True)


@pytest.fixture(scope="module")
def found(explorer, as_it_is):
    """Name of a race -> the failure that the first executions of a hunt show, each hunted once."""
    known = {}

    async def failure(name):
        if name not in known:
            result = await Hunt.of(as_it_is.scenario(name), executions=WITHIN).run(explorer)
            (known[name],) = result.failures
        return known[name]

    return failure


async def reduced(explorer, scenario):
    """Everything that reduction runs, without minimising what breaks."""
    result = await Hunt.of(scenario, scheduler="dpor", executions=300, keep_going=True, refine=False).run(explorer)
    assert result.exhausted, result.reason
    return result


def requests(name, *asked):
    """A scenario of the shop whose actors send these requests: method, path and JSON."""

    async def send(client, request):
        method, path, *json = request.split(" ", 2)
        headers = {"content-type": "application/json"}
        return await client.request(method, path, content="".join(json), headers=headers)

    async def setup(self, client) -> None:
        if name in PAID_FIRST:
            await client.post("/orders/1/pay")

    def sends(request):
        async def one(self, client):
            return await send(client, request)

        return actor(one)

    members = {
        "__module__": __name__,
        "setup": setup,
        "like_one_after_the_other": lab.serializable(),
        "first": sends(asked[0]),
        "second": sends(asked[1]),
    }
    return type("Requests", (sys.modules["lab_scenarios"].Shop,), members)()


def test_the_lab_is_added_in_one_short_file():
    """And nothing else of the application knows of it."""
    lines = (SHOP / "lab_scenarios.py").read_text().splitlines()
    assert len(lines) <= MOST_LINES
    others = [path for path in SHOP.rglob("*.py") if path.name != "lab_scenarios.py"]
    assert not [path for path in others if "import lab" in path.read_text() or "from lab" in path.read_text()]


@pytest.mark.parametrize("which", ["as_it_is", pytest.param("mended", marks=pytest.mark.long)])
async def test_its_own_tests_pass(which, server, request):
    """With the races and without them: they send one request after the other."""
    connection = await asyncpg.connect(**server.connect)
    await connection.execute(f"CREATE DATABASE shop_{which}")
    await connection.close()
    url = f"postgresql+asyncpg://postgres@/shop_{which}?host={server.connect['host']}"
    done: subprocess.CompletedProcess[str] = request.getfixturevalue(which).own_tests(url)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", RACES)
async def test_a_race_is_found_through_http_and_explained(as_it_is, found, name):
    """Within five executions, with the cause and the lines of the service that it points at."""
    cause, code = EXPLAINED[name]
    with as_it_is.imported():
        failure = await found(name)
    assert failure.execution <= WITHIN
    assert failure.cause["name"] == cause
    steps = {step["number"]: step for step in failure.story["steps"]}
    pointed_at = {(steps[number]["at"]["file"], steps[number]["at"]["line"]) for number in failure.cause["steps"]}
    for within, text in code:
        file, line = as_it_is.line_of(text, within)
        assert any(each.endswith(file) and number == line for each, number in pointed_at), (text, pointed_at)
        assert f"{within}:{line}" in failure.report


@pytest.mark.parametrize("times", [5, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", RACES)
async def test_its_token_replays(explorer, as_it_is, found, name, times):
    """Every time the same."""
    with as_it_is.imported():
        token = decode((await found(name)).token)
        scenario = scenario_of(token, type(as_it_is.scenario(name)))
        replays = await replay_times(explorer, scenario, token.schedule, Conditions(), times)
    assert replays.identical == times, replays.divergence
    assert replays.record.failed


@pytest.mark.parametrize("name", RACES)
async def test_it_is_gone_once_it_is_mended(explorer, mended, name):
    """Every trace was run, and none breaks. A request has as many as the call of its service, or ten."""
    with mended.imported():
        by_http = await reduced(explorer, mended.scenario(name))
        by_service = await reduced(explorer, mended.by_service(name))
    assert not by_http.failures, by_http.failures[0].report
    assert by_http.complete
    assert len(by_http.traces) <= max(len(by_service.traces), MOST_TRACES)


@pytest.mark.parametrize("name", [pytest.param(RACES[0], marks=pytest.mark.long), *RACES[1:]])
async def test_a_request_has_as_many_traces_as_the_call_of_its_service(explorer, as_it_is, name):
    """What stands between a request and its statements adds none."""
    with as_it_is.imported():
        by_http = await reduced(explorer, as_it_is.scenario(name))
        by_service = await reduced(explorer, as_it_is.by_service(name))
    assert by_http.failures
    assert by_service.failures
    assert len(by_http.traces) <= max(len(by_service.traces), MOST_TRACES)


@pytest.mark.parametrize(
    "name", [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in SAFE]
)
async def test_what_is_served_rightly_is_not_called_racy(explorer, as_it_is, name):
    """Every pair under reduction, against every serial order."""
    with as_it_is.imported():
        result = await reduced(explorer, requests(name, *SAFE[name]))
    assert not result.failures, result.failures[0].report
