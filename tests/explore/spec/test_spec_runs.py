"""The project's own specs print what PostgreSQL 15's isolationtester printed of them, byte for byte.

`tests/cases/specs/expected` was made by that program.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.explore.spec.conductor import Conductor
from lab.explore.spec.reader import read_spec, spec_of
from lab.explore.spec.stage import DATABASE, Stage, performed
from lab.postgres.server.monitor import connect
from lab.postgres.server.server import Server

SPECS = Path(__file__).parents[2] / "cases" / "specs"
NAMES = sorted(path.stem for path in (SPECS / "specs").glob("*.spec"))


@pytest.fixture
async def stage(server: Server) -> AsyncIterator[Stage]:
    stage = await Stage.open(server, longest=5)
    yield stage
    await stage.aclose()
    monitor = await connect(server)
    await monitor.execute(
        f"DROP DATABASE {DATABASE} WITH (FORCE)"
    )  # the embedded server keeps what it has till it ends
    await monitor.close()


@pytest.mark.parametrize("name", NAMES)
async def test_a_spec_prints_what_postgresqls_own_runner_prints(stage, name):
    """Waits, deadlocks, markers, timeouts, several results of a step, errors, notices, a lost session."""
    performance = await performed(stage, read_spec(SPECS / "specs" / f"{name}.spec"))
    expected = (SPECS / "expected" / f"{name}.out").read_bytes()
    assert performance.output == expected.decode("utf-8", "surrogateescape")
    assert performance.waits == performance.output.count(" <waiting ...>\n")


async def test_there_are_specs():
    assert len(NAMES) >= 8


async def test_what_a_spec_leaves_behind_is_gone_when_the_next_one_begins(stage):
    """Also what was prepared, which outlives its session and keeps a database from being dropped."""
    leaves = "CREATE TABLE t (x int); BEGIN; INSERT INTO t VALUES (1);"
    sees = "SELECT count(*) FROM pg_class WHERE oid >= 16384"
    spec = spec_of(f"session s1 step leaves {{ {leaves} }} step sees {{ {sees}; }} permutation leaves sees", "leaves")
    for _ in range(2):
        performance = await performed(stage, spec)
        assert performance.output.endswith("\n    1\n(1 row)\n\n")


async def test_a_step_that_never_ends_is_cancelled_as_postgresqls_own_runner_does(server, stage):
    """After the bound, and it says so."""
    quick = Stage(server, stage._cluster, 0.2)
    spec = spec_of("session s1 step sleeps { SELECT pg_sleep(60); }", "sleeps")
    performance = await performed(quick, spec)
    assert performance.output.splitlines()[-3:] == [
        "isolationtester: canceling step sleeps after 0 seconds",
        "step sleeps: SELECT pg_sleep(60);",
        "ERROR:  canceling statement due to user request",
    ]


async def test_steps_that_wait_for_each_other_by_their_markers_end_the_spec(stage):
    spec = spec_of(
        "session s1 step a { SELECT 1; } session s2 step b { SELECT 2; } permutation a(*, b) b(a)", "each-other"
    )
    performance = await performed(stage, spec)
    assert performance.aborted == "failed to complete permutation due to mutually-blocking steps\n"
    assert performance.output.endswith(performance.aborted)
    assert performance.permutations == ()


async def test_a_copy_is_shown_as_what_it_is_and_refused(stage):
    """A spec has no data for it, and the session goes on."""
    spec = spec_of(
        "setup { CREATE TABLE t (x int); } teardown { DROP TABLE t; } session s1 step in { COPY t FROM STDIN; } "
        "step out { COPY (SELECT 1) TO STDOUT; } step then { SELECT 3; }",
        "copies",
    )
    performance = await performed(stage, spec)
    assert performance.output.count("unexpected result status: PGRES_COPY_IN\n") == 1
    assert "ERROR:  COPY from stdin failed: a spec has no data for COPY\n" in performance.output.replace("'", '"')
    assert "unexpected result status: PGRES_COPY_OUT\nstep then: SELECT 3;\n" in performance.output


async def test_a_database_of_somebody_else_is_left_alone(server):
    """The name is PostgreSQL's, so somebody may have one."""
    monitor = await connect(server)
    await monitor.execute(f"CREATE DATABASE {DATABASE}")
    try:
        with pytest.raises(UsageError, match=f"has a database {DATABASE} that the lab did not make, so it is left"):
            await Stage.open(server)
        assert await monitor.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", DATABASE) == 1
    finally:
        await monitor.execute(f"DROP DATABASE {DATABASE}")
        await monitor.close()


async def test_the_database_that_a_killed_lab_left_is_made_anew_and_one_that_is_used_is_not(server, stage):
    """As `Cluster` does with all that it made."""
    spec = spec_of("session s1 step a { SELECT 1; }", "one")
    async with stage.conducting(spec, Conductor), contextlib.AsyncExitStack():
        with pytest.raises(UsageError, match="in which another lab works"):
            await Stage.open(server)
    again = await Stage.open(server)
    assert (await performed(again, spec)).aborted == ""
    await again.aclose()
