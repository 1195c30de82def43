"""An ordinary user of the machine looks for a password while the lab is at work, and finds it nowhere."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.lab_program import CASES, environment, lab, lab_each, temporary_folder
from helpers.servers import Foreign, foreign_server, programs_of

SECRET = "hunter2hunter2"
USES_THE_LAB = """
from sqlalchemy import MetaData, text
from lab import Scenario, actor

class Two(Scenario):
    metadata = MetaData()

    @actor(names=("ann", "ben"))
    async def work(self, session):
        await session.execute(text("SELECT 1"))

async def test_it(lab):
    await lab.check(Two())
"""

ERRORS = [
    "postgresql://guarded:{}@h:port/d",
    "postgresql://guarded:{}@/d?port=99999",
    "postgresql://guarded:{}",
    "postgresql://guarded:a@{}@h/d",
    "postgresql://guarded:{}@x@h/d",
    "postgresql:/guarded:{}@h/d",
    "guarded:{}@h/d",
    "{}",
    "{}://h",
    "mysql://guarded:{}@h/d",
    "postgresql://guarded:{}\u00fc@127.0.0.1:1/d",
    "postgresql://guarded:{}@127.0.0.1:1/d",
    "postgresql://guarded@127.0.0.1:1/d?password={}",
    "postgresql://guarded@127.0.0.1:1/d?sslpassword={}",
    "postgresql://guarded:{}@127.0.0.1:1/d?passfile=/nonexistent",
    "postgresql://guarded:{}@127.0.0.1:1/d?sslmode=odd",
    "postgresql://guarded:{}@/d?host=/nonexistent",
    "postgresql://guarded:{}@127.0.0.1:1/d?pasword={}",
]


PAUSE = 0.02
"""Seconds between two looks: what lives shorter shows nothing to anybody, and a core is left to what is watched."""
BRIEF = (0, 12)
"""One that cannot be read, and one with nobody there."""


@pytest.fixture(scope="module")
def guarded() -> Iterator[Foreign]:
    """A server on which the role `guarded` needs its password."""

    def ask_for_passwords(data: Path) -> None:
        (data / "pg_hba.conf").write_text("local all owner trust\nlocal all all scram-sha-256\n")

    with foreign_server(programs_of(16), before=ask_for_passwords) as server:
        server.sql(f"CREATE ROLE guarded LOGIN CREATEDB PASSWORD '{SECRET}'", "CREATE ROLE barred LOGIN PASSWORD 'x'")
        yield server


@pytest.fixture
def watched() -> Iterator[None]:
    """Another user looks for the secret during the test. Forked, since that user may not run our Python."""
    reading, writing = os.pipe()
    ending, going_on = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(going_on)
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        os.write(writing, json.dumps(look(ending)).encode())
        os._exit(0)
    os.close(writing)
    os.close(ending)
    yield
    os.close(going_on)
    with os.fdopen(reading) as answer:
        looks, found = json.load(answer)
    os.waitpid(pid, 0)
    assert looks > 10
    assert not found, "\n".join(found)


def look(ending: int) -> tuple[int, list[str]]:
    """Read what can be read of every process, until nobody holds the other end of a pipe."""
    found: set[str] = set()
    looks = 0
    while not select.select([ending], [], [], PAUSE)[0]:
        looks += 1
        for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
            for file in ("cmdline", "environ", "comm"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/{file}", "rb") as opened:  # noqa: PTH123
                    if SECRET.encode() in (text := opened.read()):
                        found.add(f"/proc/{pid}/{file}: {text[:200]!r}")
    return looks, sorted(found)


def url(server: Foreign, role: str = "guarded") -> str:
    return server.url(role).replace(f"{role}@", f"{role}:{SECRET}@")


def files_with_the_secret(folder: Path) -> list[str]:
    return [str(each) for each in folder.rglob("*") if each.is_file() and SECRET.encode() in each.read_bytes()]


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")


def test_hunts_with_workers_and_remedies_show_no_password(guarded, watched):
    with temporary_folder() as folder:
        given = environment(LAB_URL=url(guarded), TMPDIR=str(folder))
        for line in (
            ["hunt", "LostCount", "--workers", "2", "--executions", "8"],
            ["hunt", "LostCount", "--json", "--no-remedies", "--no-fresh"],
            ["matrix", "LostCount", "--executions", "2"],
            ["doctor"],
            ["doctor", "--json"],
            ["hunt", "--executions", "2"],
        ):
            done = lab(*line, env=given)
            assert done.returncode in (0, 1, 3), done.stderr
            assert SECRET not in done.stdout + done.stderr
        assert files_with_the_secret(folder) == []
    assert guarded.sql("SELECT datname FROM pg_database WHERE datname LIKE 'concurrency_lab_%'").strip() == ""


LEAKS = """
import os
from dataclasses import dataclass
from lab import Scenario, actor, invariant
from sqlalchemy import MetaData

@dataclass(frozen=True)
class Leaks(Scenario):
    metadata = MetaData()

    @actor
    async def ann(self, session):
        raise RuntimeError(f"{'x' * 70} cannot use " + os.environ["LAB_URL"])

    @actor
    async def ben(self, session):
        return os.environ["LAB_URL"]

    @invariant
    async def nothing_is_shown(self):
        assert False, os.environ["LAB_URL"]
"""


def test_a_report_shows_no_password_that_code_of_a_scenario_put_into_it(guarded, tmp_path):
    (tmp_path / "leaks.py").write_text(LEAKS)
    given = environment(LAB_URL=url(guarded), PYTHONPATH=str(CASES))
    for more in ((), ("--json",)):
        done = lab("hunt", "leaks:Leaks", "--executions", "4", "--no-fresh", *more, cwd=tmp_path, env=given)
        assert done.returncode == 1, done.stderr
        assert "guarded:***@" in done.stdout or more == ("--json",)
        assert SECRET not in done.stdout + done.stderr


def test_errors_of_thirty_kinds_show_no_password(guarded, watched):
    """Given by the environment, in the wrong place, and for commands that have no use for a URL."""
    wrong = [text.format(*[SECRET] * text.count("{}")) for text in ERRORS]
    lines = [["doctor", "--url", each] for each in wrong]
    lines += [["hunt", "LostCount", "--workers", "2", "--url", each] for each in wrong[::3]]
    lines += [[command, url(guarded)] for command in ("hunt", "list", "matrix", "replay", "check-history", "doctor")]
    lines += [["hunt", f"--{url(guarded)}"], [url(guarded)], ["hunt", "LostCount", "--seed", url(guarded)]]
    lines += [["hunt", "LostCount", "--url", url(guarded, "barred")]]
    ended = lab_each(lines)
    for line, (status, out, err) in zip(lines, ended, strict=True):
        assert status in (2, 3), (line, out, err)
        assert SECRET not in out + err, line
        assert "Traceback" not in err, line


@pytest.mark.parametrize("options", [pytest.param((), marks=pytest.mark.long), ("-n", "1")])
def test_a_pytest_run_shows_no_password(guarded, watched, tmp_path, options):
    """Also of tests that fail with all their local variables shown, and in a worker of pytest-xdist."""
    (tmp_path / "scenarios").symlink_to(CASES / "scenarios")
    (tmp_path / "conftest.py").write_text(
        "import pytest\n@pytest.fixture(scope='session')\ndef anyio_backend(): return 'asyncio'\n"
    )
    (tmp_path / "test_it.py").write_text(
        "from scenarios.counter import LostCount\n"
        "async def test_violation(lab, lab_server):\n    await lab.hunt(LostCount())\n"
        "async def test_defect(lab, lab_server):\n    held = lab_server.connect\n    raise RuntimeError(lab_server)\n"
        "def test_log(lab_server):\n    assert lab_server == 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--showlocals", "-vv", "--junitxml=report.xml", *options],
        cwd=tmp_path,
        env=environment(LAB_URL=url(guarded)),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert "3 failed" in done.stdout, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert files_with_the_secret(tmp_path) == []


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(text.format(*[SECRET] * text.count("{}")), marks=() if number in BRIEF else pytest.mark.long)
        for number, text in enumerate(ERRORS)
    ],
)
def test_a_pytest_run_with_a_wrong_url_shows_no_password(given, tmp_path):
    (tmp_path / "test_it.py").write_text(USES_THE_LAB)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--showlocals"],
        cwd=tmp_path,
        env=environment(LAB_URL=given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert SECRET not in done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
