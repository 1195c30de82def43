"""A search beyond the listed permutations finds each outcome that running all orders finds, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from lab.explore.spec.other_orders import outcome_of, searched
from lab.explore.spec.reader import read_spec, spec_of
from lab.explore.spec.stage import DATABASE, Stage, performed
from lab.postgres.server.monitor import connect
from lab.postgres.server.server import Server
from lab.schedulers import SCHEDULERS, make_scheduler

SPECS = Path(__file__).parents[2] / "cases" / "specs" / "specs"
COUNTER = """
setup { CREATE TABLE counter (value int); INSERT INTO counter VALUES (0); }
teardown { DROP TABLE counter; }
session s1 step r1 { SELECT value FROM counter; } step w1 { UPDATE counter SET value = value + 1 RETURNING value; }
session s2 step r2 { SELECT value FROM counter; } step w2 { UPDATE counter SET value = value + 10 RETURNING value; }
"""
LOCKS = """
session s1 step a1 { BEGIN; SELECT pg_advisory_lock(1); } step a2 { SELECT 'a'; COMMIT; }
session s2 step b1 { SELECT pg_advisory_lock(1); }
permutation b1
permutation a1 a2
"""
ROLE = """
setup { CREATE ROLE lab_left_behind; CREATE SEQUENCE IF NOT EXISTS times; }
teardown { DROP ROLE lab_left_behind; }
session s1 step a1 { SELECT 1; } step a2 { SELECT 2; }
session s2 setup { SELECT 1 / (LIMIT - nextval('times')); } step b1 { SELECT 3; }
permutation a1 b1 a2
"""
"""A setup of it fails at the given time."""
depth_first = partial(make_scheduler, "dfs", 0)


@pytest.fixture(scope="module")
async def stage(server: Server, anyio_backend: str) -> AsyncIterator[Stage]:
    stage = await Stage.open(server, longest=5)
    yield stage
    await stage.aclose()
    monitor = await connect(server)
    await monitor.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    await monitor.close()


@pytest.mark.parametrize("name", ["withdrawals", "counter"])
async def test_a_search_of_what_is_run_in_all_orders_has_just_the_same_outcomes(stage, name):
    """All orders of PostgreSQL's runner are the brute force; the search has as many executions."""
    spec = spec_of(COUNTER, name) if name == "counter" else read_spec(SPECS / f"{name}.spec")
    performance = await performed(stage, spec)
    found = await searched(stage, performance, depth_first, 1000)
    assert found.exhausted
    assert found.novelties == ()
    assert found.executions == found.orders == len(performance.permutations)
    assert found.outcomes == found.listed > 2


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
async def test_an_outcome_that_no_listed_permutation_has_is_found_with_an_order_that_shows_it(stage, scheduler):
    """By every scheduler; what it finds, the brute force has as well."""
    all_orders = await performed(stage, spec_of(COUNTER, "counter"))
    brute_force = {outcome_of(answers, 2) for _, answers in all_orders.permutations}
    listed = await performed(stage, spec_of(f"{COUNTER} permutation r1 w1 r2 w2", "counter"))
    found = await searched(stage, listed, partial(make_scheduler, scheduler, 0), 60)
    assert (found.programs, found.orders, found.listed) == (1, 6, 1)
    assert found.outcomes - found.listed == len(found.novelties) > 0
    for novelty in found.novelties:
        names = " ".join(step.name for step in novelty.order)
        again = await performed(stage, spec_of(f"{COUNTER} permutation {names}", "counter"))
        ((_, answers),) = again.permutations
        assert outcome_of(answers, 2) in brute_force
        assert again.output.endswith(novelty.output)
    if SCHEDULERS[scheduler].name in {"dfs", "random", "portfolio"}:
        assert found.outcomes == len(brute_force)


async def test_each_set_of_programs_is_searched_for_itself(stage):
    """Steps that no listed permutation has together are not mixed."""
    performance = await performed(stage, spec_of(LOCKS.replace("lock(1)", "lock_shared(1)"), "programs"))
    found = await searched(stage, performance, depth_first, 1000)
    assert (found.programs, found.orders, found.executions, found.exhausted) == (2, 2, 2, True)
    assert found.novelties == ()


async def test_a_session_that_would_wait_for_ever_ends_its_execution_at_once(stage):
    """It has no outcome; other orders go on, on sessions that hold nothing."""
    spec = spec_of(
        "session s1 step a1 { SELECT pg_advisory_lock(1); } step a2 { SELECT pg_advisory_unlock(1); }"
        "session s2 step b1 { SELECT pg_advisory_lock(1); } permutation a1 a2 b1",
        "locks",
    )
    performance = await performed(stage, spec)
    found = await searched(stage, performance, depth_first, 1000)
    assert (found.executions, found.exhausted, found.stopped) == (3, True, "")
    assert (found.endless, found.outcomes) == (1, 1)


async def test_a_limit_of_executions_is_no_exhaustive_search(stage):
    performance = await performed(stage, spec_of(f"{COUNTER} permutation r1 w1 r2 w2", "counter"))
    found = await searched(stage, performance, depth_first, 3)
    assert (found.executions, found.exhausted) == (3, False)


@pytest.mark.parametrize("limit", [1, 3])
async def test_a_spec_that_is_broken_off_in_a_setup_is_torn_down(stage, server, limit):
    """In its listed permutation, and in a search. Its role would outlive its database, and the next run of it fail."""
    spec = spec_of(ROLE.replace("LIMIT", str(limit)), "role")
    for _ in range(2):
        performance = await performed(stage, spec)
        found = await searched(stage, performance, depth_first, 10)
        assert "setup of session s2 failed" in (performance.aborted if limit == 1 else found.stopped)
        monitor = await connect(server)
        assert await monitor.fetch("SELECT FROM pg_roles WHERE rolname = 'lab_left_behind'") == []
        await monitor.close()
