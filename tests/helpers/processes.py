"""The lab's own processes that a test started."""

from __future__ import annotations

import psutil

__all__ = ["worker_processes"]


def worker_processes() -> list[psutil.Process]:
    """The worker processes of this one. One that has ended, or ends meanwhile, is none."""
    return [each for each in psutil.Process().children() if _is_worker(each)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "lab.search.workers" in process.cmdline()
    except psutil.NoSuchProcess:  # a zombie as well
        return False
