"""The lab is killed in mid-hunt, with waiters frozen: nothing is left over, and the next start is not disturbed.

The moments are chosen by chance with a fixed seed, counted from when the hunt's backends are there. At every other one
the kill waits until a backend is seen frozen, since those are what a killed lab could leave behind for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.lab_program import CASES, PROGRAM, environment, temporary_folder

from lab.postgres.server.embedded import embedded_server

KILLS = 12
"""`bench/endurance.py` kills 200 times, in whatever the lab is doing."""
SECONDS = 5.0
"""What is promised: by then everything is gone, and a next start has come up."""
START_SECONDS = 60.0
"""Not promised; a bound for a machine that is busy with something else."""

HUNT = ["hunt", "queueing:Queueing", "--executions", "1000000"]


class Hunt:
    """A hunt in a temporary folder of its own, given by its process."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self.process = psutil.Process(pid)
        self.family: set[psutil.Process] = {self.process}
        self.postmasters: list[int] = []
        """Where the server's clock follows, each worker has a server of its own."""
        self.mapped: set[str] = set()

    def wait_for_backends(self, number: int) -> None:
        """Until actors have connections: from here on the hunt is under way."""
        wait_until(lambda: len(self.backends()) >= number or not status_of(self.process), START_SECONDS)
        assert status_of(self.process), "the hunt ended before it was killed"
        assert len(self.backends()) >= number

    def backends(self) -> list[int]:
        """The processes of its servers that serve a client of the lab."""
        self.postmasters = list(filter(None, map(_postmaster_of, self.folder.glob("lab-*/data/postmaster.pid"))))
        served = [pid for postmaster in self.postmasters for pid in children(postmaster)]
        return [pid for pid in served if b"concurrency_lab_" in read(f"/proc/{pid}/cmdline")]

    def meet_the_family(self) -> None:
        """Note the processes that must be gone afterwards: server, keeper, workers."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.family |= set(self.process.children(recursive=True))
            for server in map(psutil.Process, self.postmasters):
                self.family |= {server, *server.children()}
        for each in self.family:
            self.mapped |= set(re.findall(r"/dev/shm/\S+", read(f"/proc/{each.pid}/maps").decode()))

    def frozen(self) -> bool:
        return any(read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:1] == [b"T"] for pid in self.backends())

    def kill(self) -> None:
        self.meet_the_family()
        self.process.kill()

    def left_over(self) -> list[str]:
        """Processes, folders and shared memory of this hunt that are still there."""
        alive = [f"{each} {status_of(each)}" for each in self.family if status_of(each)]
        shared = [path for path in self.mapped if Path(path).exists()]
        segments = [each for postmaster in self.postmasters for each in segments_of(postmaster)]
        return alive + [str(path) for path in self.folder.iterdir()] + segments + shared


def _postmaster_of(place: Path) -> int:
    """The server whose file this is; 0 for one that is just starting."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(place.read_text().split()[0])
    return 0


def read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def children(pid: int) -> list[int]:
    return [int(each) for each in read(f"/proc/{pid}/task/{pid}/children").split()]


def status_of(process: psutil.Process) -> str:
    """ "" once a process is gone; a zombie has nothing left but its number."""
    try:
        status = process.status() if process.is_running() else ""
    except psutil.NoSuchProcess:
        return ""
    return "" if status == psutil.STATUS_ZOMBIE else status


def segments_of(pid: int) -> list[str]:
    """System V shared memory that a process made."""
    listing = Path("/proc/sysvipc/shm")
    rows = listing.read_text().splitlines()[1:] if listing.exists() else []
    return [f"shared memory {row.split()[1]}" for row in rows if int(row.split()[4]) == pid]


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)


@contextlib.contextmanager
def start(folder: Path, *options: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A hunt for a block, which does not outlive it: of itself it would go on for hours."""
    with subprocess.Popen(
        [PROGRAM, *HUNT, *options],
        cwd=CASES,
        env=environment(TMPDIR=str(folder), HOME=str(folder.parent)) if more else environment(TMPDIR=str(folder)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        **more,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def kill_and_look(hunt: Hunt, chance: random.Random, *, frozen: bool) -> bool:
    """One kill; says whether a backend was frozen just before it."""
    hunt.wait_for_backends(3)
    wait_until(lambda: False, chance.random() * 0.2)
    if frozen:
        wait_until(hunt.frozen, 2)
    seen = hunt.frozen()
    hunt.kill()
    wait_until(lambda: not hunt.left_over(), SECONDS)
    assert hunt.left_over() == []
    return seen


def next_start_works() -> None:
    started = time.monotonic()
    with embedded_server():
        assert time.monotonic() - started < SECONDS


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as folder:
        yield folder


@pytest.mark.alone
def test_a_killed_lab_leaves_nothing_behind_and_the_next_start_works(folder):
    """Fifty kills at seeded moments, waiters frozen at many of them: no process, folder or shared memory after 5 s."""
    chance = random.Random(20)
    frozen = 0
    forks = subprocess.Popen(
        [sys.executable, "-P", CASES.parent / "helpers" / "forked.py"], cwd=CASES, env=environment(), text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with forks:
        for number in range(KILLS):
            forks.stdin.write(json.dumps([str(folder), HUNT]) + "\n")
            forks.stdin.flush()
            hunt = Hunt(folder, int(forks.stdout.readline()))
            started = time.monotonic()
            hunt.wait_for_backends(3)
            assert time.monotonic() - started < SECONDS  # after the kill before
            frozen += kill_and_look(hunt, chance, frozen=number % 2 == 0)
    next_start_works()
    # Every other kill waits up to two seconds for a freeze, which the hunt makes every few milliseconds.
    assert frozen >= KILLS // 4


@pytest.mark.alone
def test_a_killed_lab_takes_its_workers_with_it(folder):
    """With two workers; when the lab is killed, they and their servers go as well, also one that has just joined."""
    chance = random.Random(21)
    for number, options in enumerate((("--scheduler", "random"), ())):
        with start(folder, "--workers", "2", *options) as process:
            wait_until(lambda: workers_of(process.pid), START_SECONDS)
            assert workers_of(process.pid)
            kill_and_look(Hunt(folder, process.pid), chance, frozen=number % 2 == 0)
        next_start_works()


def workers_of(lab: int) -> list[int]:
    return [
        pid
        for child in children(lab)
        for pid in children(child)
        if b"lab.search.workers" in read(f"/proc/{pid}/cmdline")
    ]


@pytest.fixture
def account() -> Iterator[tuple[int, Path]]:
    """An ordinary user with a folder of his own, if the tests run as root and he can reach the program."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become an ordinary user; as one, the other tests here say the same")
    uid = pwd.getpwnam("nobody").pw_uid
    with temporary_folder() as home:
        (home / "t").mkdir()
        for path in (home, home / "t"):
            os.chown(path, uid, uid)
        try:
            subprocess.run(
                [sys.executable, "-c", "import lab.cli"], cwd=CASES, user=uid, group=uid, extra_groups=[], check=True,
                capture_output=True, env=environment(HOME=str(home)),
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("an ordinary user cannot reach this installation")
        yield uid, home / "t"


def test_an_ordinary_user_s_lab_leaves_nothing_behind(account):
    """The same without root, where server and lab run under one account."""
    uid, folder = account
    chance = random.Random(22)
    for number in range(3):
        with start(folder, user=uid, group=uid, extra_groups=[]) as process:
            kill_and_look(Hunt(folder, process.pid), chance, frozen=number % 2 == 0)


@pytest.mark.alone
def test_a_killed_keeper_takes_the_server_with_it(folder):
    """SIGKILL to the keeper itself, frozen waiters or not: its server goes, and the hunt ends by itself."""
    with start(folder) as process:
        hunt = Hunt(folder, process.pid)
        hunt.wait_for_backends(3)
        wait_until(hunt.frozen, 2)
        hunt.meet_the_family()
        keepers = {psutil.Process(each).parent(): each for each in hunt.postmasters}
        # The process that waits for a violation, to replay it, has a server of its own.
        ((keeper, postmaster),) = [each for each in keepers.items() if "hunt" in each[0].parent().cmdline()]
        assert "keeper.py" in " ".join(keeper.cmdline())
        keeper.kill()
        assert process.wait(START_SECONDS) == 3
        wait_until(lambda: not any(map(status_of, hunt.family)), SECONDS)
        assert [str(each) for each in hunt.family if status_of(each)] == []
        assert segments_of(postmaster) == []
