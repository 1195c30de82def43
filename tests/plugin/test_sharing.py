"""The plugin under pytest-xdist, and what a run leaves behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from helpers.lab_program import temporary_folder

from lab.postgres.server.clock import SWITCH, installed_library
from lab.pytest_plugin import _server

COUNTS_SERVERS = """
import pathlib, psutil, pytest
from counter import Counted

@pytest.mark.parametrize("number", range(4))
async def test_it(lab, number, worker_id):
    backend = []
    record = await lab.check(Shown())
    (pid,) = {result.value for result in record.outcome.results.values()}
    folder = pathlib.Path("/proc", str(pid), "cwd").resolve().parent.parent
    pathlib.Path(f"seen-{worker_id}-{number}").write_text(f"{folder} {pid}")

from dataclasses import dataclass
from lab import Scenario, actor
from sqlalchemy import text

async def postmaster(session):
    return psutil.Process(await session.scalar(text("SELECT pg_backend_pid()"))).ppid()

@dataclass(frozen=True)
class Shown(Scenario):
    @actor
    async def ann(self, session):
        return await postmaster(session)

    @actor
    async def ben(self, session):
        return await postmaster(session)
"""


@pytest.fixture
def temporary() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


def left_over(of: Path) -> list[str]:
    """Folders of servers in a temporary folder, and processes that work below it."""
    folders = [str(path) for path in of.iterdir()] if of.exists() else []
    processes = [
        p.info for p in psutil.process_iter(["pid", "name", "cmdline"]) if str(of) in " ".join(p.info["cmdline"] or [])
    ]
    return folders + [str(each) for each in processes]


def test_xdist_workers_share_one_server_and_leave_nothing_behind(project, temporary, monkeypatch):
    """Two workers meet one server, each in a database of its own; afterwards neither process nor folder is left."""
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv(SWITCH, "own")
    project.makepyfile(COUNTS_SERVERS)
    result = project.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=4)
    seen = list(project.path.glob("seen-*"))
    assert {re.match(r"seen-(gw\d)", path.name)[1] for path in seen} == {"gw0", "gw1"}
    ((folder, _),) = {tuple(path.read_text().split()) for path in seen}
    assert folder == str(temporary)
    assert left_over(temporary) == []


@pytest.mark.skipif(installed_library() is None, reason="the extra `clock` is not installed")
def test_an_xdist_worker_has_a_server_of_its_own_where_a_clock_is_moved(tmp_path):
    """One server has one clock, and each worker moves it for executions of its own."""
    worker = SimpleNamespace(
        getoption=lambda name: None, workerinput={"lab_rendezvous": str(tmp_path)}, rootpath=tmp_path
    )
    with _server(worker) as one, _server(worker) as other:
        assert one.pid != other.pid
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_killed_leaves_nothing_behind(project, temporary, monkeypatch):
    """SIGKILL to pytest in mid-execution, with a frozen waiter: its server and folder are gone within five seconds."""
    monkeypatch.setenv("TMPDIR", str(temporary))
    project.makepyfile(
        """
import os, signal
from dataclasses import dataclass
from counter import Counted
from lab import Scenario, actor, point

@dataclass(frozen=True)
class Killed(Counted):
    @actor
    async def ben(self, session):
        await self.add(session)
        os.kill(os.getpid(), signal.SIGKILL)

async def test_it(lab):
    await lab.hunt(Killed())
"""
    )
    done = subprocess.run([sys.executable, "-m", "pytest"], cwd=project.path, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 5
    while left_over(temporary) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left_over(temporary) == []


def test_the_folder_of_a_killed_xdist_run_is_removed_by_the_next_run(project, temporary, monkeypatch):
    """A killed controller cannot remove it; the next one sees that nobody holds its lock."""
    monkeypatch.setenv("TMPDIR", str(temporary))
    project.makepyfile(test_kills="import os, signal\n\ndef test_it():\n    os.kill(os.getppid(), signal.SIGKILL)\n")
    killed = [sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", "test_kills.py"]
    done = subprocess.run(killed, cwd=project.path, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = temporary.iterdir()
    assert left.name.startswith("lab-run-")
    project.makepyfile(test_passes="def test_it():\n    pass\n")
    project.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider", "test_passes.py").assert_outcomes(passed=1)
    assert left_over(temporary) == []
