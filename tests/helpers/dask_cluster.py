"""A dask cluster on this machine: a scheduler and workers as processes of their own, as a team starts them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from helpers.lab_program import environment

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
"""A bound for a machine that is busy with something else."""


class DaskCluster:
    """A scheduler, whose file is `file`, and workers without nannies, each with one thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.processes: list[subprocess.Popen[bytes]] = []
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show", "--scheduler-file", self.file)
        wait_until(lambda: self.file.exists() and self.file.read_text().endswith("}"))

    @property
    def address(self) -> str:
        address: str = json.loads(self.file.read_text())["address"]
        return address

    def worker(self, *, cwd: Path = ROOT, **env: str) -> psutil.Process:
        """One more, which is there when this returns."""
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", self.folder)
        log = self._start("worker", self.address, *options, cwd=cwd, **env)
        wait_until(lambda: "Registered to" in log.read_text())
        return psutil.Process(self.processes[-1].pid)

    def kill_workers(self) -> None:
        """All of them."""
        for process in self.processes[1:]:
            process.kill()
            process.wait()

    def _start(self, *arguments: str | Path, cwd: Path = ROOT, **env: str) -> Path:
        log = self.folder / f"{len(self.processes)}.log"
        with log.open("wb") as file:
            command = [sys.executable, "-m", "dask", *map(str, arguments), "--no-dashboard"]
            self.processes.append(
                subprocess.Popen(
                    command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment(**env)
                )
            )
        return log

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def children(self) -> list[psutil.Process]:
        """The lab's processes on all workers."""
        return [child for each in self.processes for child in children_of(each.pid)]


def children_of(worker: int) -> list[psutil.Process]:
    """The lab's processes on a worker, and what they started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(worker).children(recursive=True)
    return []


@contextlib.contextmanager
def dask_cluster(folder: Path, workers: int, **env: str) -> Iterator[DaskCluster]:
    """A cluster for the time of a block."""
    cluster = DaskCluster(folder)
    try:
        for _ in range(workers):
            cluster.worker(**env)
        yield cluster
    finally:
        for process in reversed(cluster.processes):
            process.kill()
            process.wait()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
