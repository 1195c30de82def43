"""How many processes a hunt may keep busy here: the cores that this process may use."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

__all__ = ["MOST", "sensible_workers", "usable_cores"]

MOST = 8
"""Beyond so many the process that has the search is busy with taking in what the others made (`bench/workers.py`)."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""What a container may use, as `quota period` in microseconds; `max` is no limit (cgroup v2)."""
OLD_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
"""The same in cgroup v1, where -1 is no limit, and `OLD_PERIOD`."""
OLD_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def sensible_workers() -> int:
    """One for each core, and `MOST` at most. A short hunt starts none beside itself, whatever their number."""
    return min(usable_cores(), MOST)


def usable_cores() -> int:
    """Those that this process may keep busy, at least one."""
    return max(1, math.ceil(min(_cores(), _quota())))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota() -> float:
    """The share of the machine's time that a container has, in cores; what cannot be read limits nothing."""
    for files in ((QUOTA,), (OLD_QUOTA, OLD_PERIOD)):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (int(each) for file in files for each in file.read_text().split())
            if quota > 0:
                return quota / period
    return math.inf
