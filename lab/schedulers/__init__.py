"""Schedulers: the policies that decide who takes the next step. Pure: no asyncio, no SQL, no clock.

To add one, write its file and add its line to `SCHEDULERS`; the contract suite in `tests/contract` then
runs over it. A wrapper (metrics, a check) takes a scheduler and is one.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.errors import UsageError
from lab.schedulers.base import Alternative, Choices, Scheduler
from lab.schedulers.directed import Directed
from lab.schedulers.dpor import Dpor
from lab.schedulers.random_walk import RandomWalk
from lab.schedulers.serial import Serial

__all__ = ["DEFAULT", "SCHEDULERS", "Alternative", "Choices", "Scheduler", "is_independent", "make_scheduler"]

SCHEDULERS: dict[str, Callable[[int], Scheduler]] = {
    "directed": lambda seed: Directed(),
    "dpor": lambda seed: Dpor(),
    "random": RandomWalk,
    "serial": lambda seed: Serial(),
}
"""Name -> how to make one from a seed."""

INDEPENDENT = frozenset({"random"})
"""Those whose executions are independent samples: parts of a hunt may run anywhere, and 3/n bounds apply."""

DEFAULT = "random"


def make_scheduler(name: str, seed: int) -> Scheduler:
    """A new scheduler by name. Raises `UsageError` for an unknown one."""
    try:
        return SCHEDULERS[name](seed)
    except KeyError:
        known = ", ".join(sorted(SCHEDULERS))
        raise UsageError(f"unknown scheduler {name!r}; known are {known}") from None


def is_independent(name: str) -> bool:
    """Whether the executions of a scheduler are independent samples."""
    return name in INDEPENDENT
