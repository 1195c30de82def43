"""Servers of somebody else, of three versions and for three roles: equal verdicts, and nothing of theirs touched.

In CI a sample of the catalogue is run, each version and each role once; `make test-all` runs all of it (marked `long`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.lab_program import PROGRAM, environment, lab
from helpers.servers import Foreign, foreign_server, programs_of

ROOT = Path(__file__).parents[3]
VERSIONS = (15, 16, 18)
ROLES = ("owner", "trusted", "maker")
GRANTED = "deadlock_timeout, log_lock_waits, log_min_messages, lc_messages"
FEW = ("--json", "--no-remedies", "--no-fresh", "--executions", "60", "--workers", "1")
PARTLY = "pass, as far as it was searched"
TOGETHER = {15: "maker", 16: "owner", 18: "trusted"}
"""What each change runs, so that it meets every version and every role."""
SAMPLE = {
    "owner": "scenarios.transfer:LostUpdate",
    "trusted": "scenarios.deadlock:CoreUpdatesInOppositeOrder",
    "maker": "scenarios.transfer:Transfer",
}


@pytest.fixture(scope="module", params=VERSIONS)
def foreign(request) -> Iterator[Foreign]:
    """A server with a database of somebody's, and three roles that may do more or less."""
    programs = programs_of(request.param)
    if programs is None:
        pytest.skip(f"PostgreSQL {request.param} is not installed here")
    with foreign_server(programs) as server:
        server.sql(
            "CREATE ROLE trusted LOGIN CREATEDB",
            f"GRANT SET ON PARAMETER {GRANTED} TO trusted",
            "CREATE ROLE maker LOGIN CREATEDB",
            "CREATE DATABASE theirs",
        )
        server.sql(
            "CREATE TABLE kept (id serial PRIMARY KEY, text text DEFAULT 'x')",
            "INSERT INTO kept (text) SELECT md5(n::text) FROM generate_series(1, 1000) n",
            "CREATE VIEW seen AS SELECT * FROM kept",
            "GRANT SELECT ON kept TO maker",
            database="theirs",
        )
        yield server


def dump(server: Foreign) -> str:
    """Everything in the database that is theirs, and all that belongs to the whole server."""
    text = server.run("pg_dump", "theirs") + server.run("pg_dumpall", "--globals-only")
    # newer versions protect a dump with a word that they draw anew each time
    return "\n".join(line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def verdict(server: Foreign, role: str, target: str) -> str:
    """The verdict of a short hunt, or why it cannot be made there."""
    given = environment(LAB_URL=server.url(role, "theirs"))
    done = lab("hunt", target, *FEW, cwd=ROOT, env=given)
    if done.returncode == 2:
        assert "needs the embedded server" in done.stderr, done.stderr
        return "cannot run there"
    found = json.loads(done.stdout)
    if found["unsearched"] and found["verdict"] == "pass":
        assert not found["complete"]
        return PARTLY
    return str(found["verdict"])


def alike(at_home: str) -> tuple[str, ...]:
    """The verdicts on a server given by URL that say the same."""
    return (at_home, PARTLY) if at_home == "pass" else (at_home,)


def expected(target: str) -> str:
    return json.loads(lab("hunt", target, *FEW, cwd=ROOT).stdout)["verdict"]


@pytest.fixture(scope="module")
def at_home() -> dict[str, str]:
    """Verdicts on the embedded server, each made once."""
    return {}


@pytest.mark.parametrize(
    ("foreign", "role", "target"),
    [
        pytest.param(version, role, target, marks=() if TOGETHER[version] == role else pytest.mark.long)
        for version in VERSIONS
        for role, target in SAMPLE.items()
    ],
    indirect=["foreign"],
)
def test_verdicts_are_those_of_the_embedded_server_and_a_foreign_database_stays_as_it_was(
    foreign, role, target, at_home
):
    before = dump(foreign)
    at_home.setdefault(target, expected(target))
    assert verdict(foreign, role, target) in alike(at_home[target])
    assert dump(foreign) == before
    left = foreign.sql("SELECT datname FROM pg_database WHERE datname LIKE 'concurrency_lab_%'")
    assert left.strip() == ""


def catalogue(**given: str) -> dict[str, tuple[str, str]]:
    """The verdict on every scenario of the catalogue that can run, and its reason, from one short hunt of them all."""
    line = [PROGRAM, "hunt", "--json", "--executions", "60"]
    done = subprocess.run(line, cwd=ROOT, env=environment(**given), capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return {
        each["target"]: (
            PARTLY if each["unsearched"] and each["verdict"] == "pass" else each["verdict"],
            each["reason"],
        )
        for each in json.loads(done.stdout)["results"]
        if not each["cannot"]
    }


@pytest.fixture(scope="session")
def all_at_home() -> dict[str, tuple[str, str]]:
    """The same on the embedded server."""
    return catalogue()


@pytest.mark.long
@pytest.mark.parametrize("role", ROLES)
def test_the_whole_catalogue_has_equal_verdicts_in_all_that_can_run(foreign, role, all_at_home):
    before = dump(foreign)
    found = catalogue(LAB_URL=foreign.url(role, "theirs"))
    assert len(found) > 100
    assert {
        target: (verdict, reason, all_at_home[target])
        for target, (verdict, reason) in found.items()
        if verdict not in alike(all_at_home[target][0])
    } == {}
    assert dump(foreign) == before
