"""A dask cluster on this machine: a scheduler and workers as processes of their own, as on several machines."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["LocalDask", "local_dask"]

START_SECONDS = 60.0


@dataclass(frozen=True)
class LocalDask:
    """Where its scheduler is, and which process that is."""

    address: str
    scheduler: psutil.Process


@contextlib.contextmanager
def local_dask(workers: int) -> Iterator[LocalDask]:
    """A scheduler and so many workers with one thread each, for the time of a block."""
    with tempfile.TemporaryDirectory(prefix="lab-dask-") as folder, contextlib.ExitStack() as stack:
        file = Path(folder) / "scheduler.json"

        def start(*arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
            log = Path(folder) / f"{time.monotonic_ns()}.log"
            with log.open("wb") as output:
                command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process, log

        scheduler, _ = start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-show", "--scheduler-file", f"{file}"
        )
        wait_for(file, "}")
        address = json.loads(file.read_text())["address"]
        options = ("--nthreads", "1", "--no-nanny", "--local-directory", folder)
        for _, log in [start("worker", address, *options) for _ in range(workers)]:
            wait_for(log, "Registered to")
        yield LocalDask(address, psutil.Process(scheduler.pid))


def wait_for(file: Path, text: str) -> None:
    until = time.monotonic() + START_SECONDS
    while not file.exists() or text not in file.read_text():
        if time.monotonic() > until:
            raise TimeoutError(f"{file.name} does not say {text!r}: {file.read_text() if file.exists() else ''}")
        time.sleep(0.05)
