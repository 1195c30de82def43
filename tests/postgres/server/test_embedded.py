"""The embedded server: its own for each run, and gone with the last process that uses it, however that ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import psutil
import pytest
from helpers.kit import Bank, Order, add, replays, told
from helpers.lab_program import environment, temporary_folder

from lab import actor
from lab.errors import ServerError
from lab.explore import Explorer
from lab.postgres.server import embedded, keeper
from lab.postgres.server.embedded import embedded_server, shared_server
from lab.postgres.server.folders import owned_folder
from lab.postgres.server.install import prepared

PATIENCE = 20.0
"""Seconds in which something that takes milliseconds must have happened, on however busy a machine."""


@pytest.fixture
def short_folder():
    """A folder for servers, which has room for a socket's name and lets the server's account pass."""
    with temporary_folder() as folder:
        yield folder


class Two(Bank):
    @actor(names=("alice", "bob"))
    async def work(self, session) -> None:
        await session.execute(add(1))
        await session.execute(add(2))
        await session.commit()


@pytest.mark.parametrize("version", [16, 18])
async def test_each_version_comes_up_and_runs_scenarios(version):
    with embedded_server(version) as server:
        explorer = Explorer(server)
        abilities = (await explorer.open()).abilities
        assert abilities.version // 10000 == version
        assert (abilities.pushed, abilities.frozen) == (True, True)
        record = await explorer.run(Two(), Order("alice bob alice alice bob"))
        assert told(record.trace)[1].endswith("(B)")
        assert await replays(explorer, record)
        await explorer.aclose()
    assert not server.folder.exists()
    assert not psutil.pid_exists(server.pid)


def test_an_unknown_version_is_refused_with_those_there_are():
    with pytest.raises(ServerError, match="16 and 18, not 12"):
        embedded_server(12)


async def test_it_listens_on_a_socket_of_its_owner_only(server):
    connection = await asyncpg.connect(**server.connect)
    assert await connection.fetchval("SHOW listen_addresses") == ""
    assert await connection.fetchval("SHOW autovacuum") == "off"
    await connection.close()
    assert (server.folder / "s").stat().st_mode & 0o777 == 0o700


async def test_only_its_own_backends_may_be_frozen(server):
    assert not server.may_freeze(os.getpid())
    assert not server.may_freeze(1)
    assert not server.may_freeze(server.pid)
    assert not server.may_freeze(2**22 + 1)
    connection = await asyncpg.connect(**server.connect)
    assert server.may_freeze(connection.get_server_pid())
    await connection.close()


def test_a_failing_start_says_why_and_leaves_nothing(monkeypatch, short_folder):
    monkeypatch.setattr(embedded, "_bases", lambda account: [str(short_folder)])
    monkeypatch.setitem(embedded.SETTINGS, "shared_buffers", "nonsense")
    with pytest.raises(ServerError, match=r"the embedded server did not start: .*shared_buffers"):
        embedded_server()
    assert list(short_folder.iterdir()) == []


KILLED = """
import asyncio, json, os, signal, sys
sys.path[:0] = {path!r}
import lab
from helpers.lab_program import temporary_folder
from helpers.kit import Bank, Order, add
from lab import actor
from lab.explore import Explorer
from lab.postgres.server.embedded import embedded_server

class Waits(Bank):
    @actor
    async def alice(self, session):
        await session.execute(add(1))
        await lab.point("kill")
        os.kill(os.getpid(), signal.SIGKILL)

    @actor(names=("bob", "carol"))
    async def wait(self, session):
        await session.execute(add(1))

async def main():
    server = embedded_server()
    print(json.dumps([str(server.folder), server.pid]), flush=True)
    await Explorer(server).run(Waits(), Order("alice bob carol alice"))

asyncio.run(main())
"""


def gone(folder: Path, pid: int) -> bool:
    """Whether server and folder are gone, or will be within reason."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if not folder.exists() and not psutil.pid_exists(pid):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("repetition", [0, *(pytest.param(number, marks=pytest.mark.long) for number in (1, 2))])
def test_sigkill_amid_frozen_waiters_leaves_no_process_and_no_folder(repetition):
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(path=sys.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder, pid = json.loads(done.stdout)
    assert gone(Path(folder), pid)
    assert not [p for p in psutil.process_iter(["cmdline"]) if folder in " ".join(p.info["cmdline"] or ())]


STARTS = """
import sys, time
sys.path[:0] = {path!r}
from lab.postgres.server.embedded import embedded_server
server = embedded_server()
print(server.folder, server.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_whole_group_of_processes_leaves_nothing(number):
    """Ctrl-C reaches every process of a terminal's group; the keeper is in one of its own."""
    child = subprocess.Popen(
        [sys.executable, "-c", STARTS.format(path=sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    folder, pid = child.stdout.readline().split()
    os.killpg(child.pid, number)
    child.communicate()
    assert gone(Path(folder), int(pid))


def keeper_of(server) -> psutil.Process:
    (its_keeper,) = [p for p in psutil.Process().children() if p.pid == psutil.Process(server.pid).ppid()]
    return its_keeper


def test_a_killed_keeper_takes_the_server_with_it_and_the_lab_removes_the_folder():
    server = embedded_server()
    its_keeper = keeper_of(server)
    its_keeper.kill()
    deadline = time.monotonic() + PATIENCE
    while psutil.pid_exists(server.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not psutil.pid_exists(server.pid)
    server.close()
    assert not server.folder.exists()


JOINS = """
import asyncio, sys
sys.path[:0] = {path!r}
from pathlib import Path
from helpers.kit import Order
from test_embedded import Two
from lab.explore import Explorer
from lab.postgres.server.embedded import shared_server
async def main():
    server = shared_server(Path({rendezvous!r}))
    explorer = Explorer(server)
    record = await explorer.run(Two(), Order("alice bob alice alice bob"))
    assert any(step.woken for step in record.trace)
    await explorer.aclose()
    print(server.folder, flush=True)
    server.close()
asyncio.run(main())
"""


async def test_several_processes_share_one_server_that_ends_with_the_last(tmp_path):
    script = JOINS.format(path=sys.path, rendezvous=str(tmp_path))
    server = shared_server(tmp_path)
    workers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=subprocess.PIPE) for _ in range(2)
    ]
    folders = {(await worker.communicate())[0].decode().strip() for worker in workers}
    assert folders == {str(server.folder)}
    explorer = Explorer(server)
    assert not (await explorer.run(Two(), Order())).failed
    await explorer.aclose()
    server.close()
    assert gone(server.folder, server.pid)


def test_the_first_to_come_may_be_the_first_to_leave(tmp_path):
    first = shared_server(tmp_path)
    second = shared_server(tmp_path)
    assert second.folder == first.folder
    before = time.monotonic()
    first.close()
    assert time.monotonic() - before < embedded.LEAVING_SECONDS, "it waited for what others still use"
    assert psutil.pid_exists(second.pid)
    second.close()
    assert gone(second.folder, second.pid)
    deadline = time.monotonic() + PATIENCE
    while (zombies := unreaped()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert zombies == [], "the first to come started the keeper, so it takes its exit status"


def unreaped() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.status() == psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    "left",
    [
        '{"folder": "/nonexistent", "pid": 1, "version": 18}',
        "",
        "{",
        "[]",
        '{"folder": 3}',
    ],
)
def test_a_stale_or_broken_rendezvous_is_replaced(tmp_path, left):
    (tmp_path / "server.json").write_text(left)
    with shared_server(tmp_path) as server:
        assert psutil.pid_exists(server.pid)
        assert json.loads((tmp_path / "server.json").read_text())["pid"] == server.pid
    assert gone(server.folder, server.pid)


def test_a_rendezvous_with_a_server_that_ended_starts_a_new_one(tmp_path):
    with shared_server(tmp_path) as first:
        pass
    assert gone(first.folder, first.pid)
    with shared_server(tmp_path) as second:
        assert second.pid != first.pid


HOLDS = """
import sys
from lab.postgres.server.embedded import embedded_server
server = embedded_server()
print(server.folder, server.pid, flush=True)
sys.stdin.read()
"""


def held(folder: Path) -> tuple[subprocess.Popen[str], Path, int]:
    """A process that holds a server whose folder lies in `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(folder)),
    )
    assert process.stdout is not None
    place, pid = process.stdout.readline().split()
    return process, Path(place), int(pid)


def test_what_a_killed_keeper_and_a_killed_lab_leave_is_removed_by_the_next_start(short_folder, monkeypatch):
    """First the keeper, then the lab: nobody is left who could remove the folder. One in use is not touched."""
    process, left, pid = held(short_folder)
    other, used, _ = held(short_folder)
    psutil.Process(psutil.Process(pid).ppid()).kill()
    process.kill()
    process.communicate()
    deadline = time.monotonic() + PATIENCE
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert left.exists()
    foreign = short_folder / "lab-somebody-elses"
    foreign.mkdir()
    monkeypatch.setattr(embedded, "_bases", lambda account: [str(short_folder)])
    with embedded_server() as server:
        assert {each.name for each in short_folder.iterdir()} == {server.folder.name, used.name, foreign.name}
    other.communicate()
    assert gone(used, 0)


def test_a_lab_killed_before_its_keeper_looked_leaves_nothing(short_folder):
    """The keeper opens the pipe when nobody holds it any more: it must not wait for ever."""
    folder, held = owned_folder(short_folder)
    os.mkfifo(folder / "alive")
    install = prepared(18)
    order = {"command": [str(install.programs / "bin" / "postgres"), "--version"], "folder": str(folder)}
    order |= {"pipe": str(folder / "alive"), "data": str(folder / "data"), "template": str(install.template)}
    order |= {"user": install.account.user, "group": install.account.group}
    os.close(held)
    subprocess.run([sys.executable, "-I", "-S", keeper.__file__, json.dumps(order)], timeout=PATIENCE, check=True)
    assert not folder.exists()


def test_a_stopped_server_ends_as_fast_as_another():
    server = embedded_server()
    os.kill(server.pid, signal.SIGSTOP)
    before = time.monotonic()
    server.close()
    assert time.monotonic() - before < keeper.STOP_SECONDS
    assert gone(server.folder, server.pid)


def test_a_folder_with_spaces_and_quotes_is_as_good_as_another(short_folder, monkeypatch):
    odd = short_folder / 'a b, "c"'
    odd.mkdir()
    odd.chmod(0o711)
    monkeypatch.setattr(embedded, "_bases", lambda account: [str(odd)])
    with embedded_server() as server:
        assert server.folder.parent == odd
    assert list(odd.iterdir()) == []
