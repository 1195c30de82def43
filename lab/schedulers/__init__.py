"""Schedulers: the policies that decide who takes the next step. Pure: no asyncio, no SQL, no clock.

To add one, write its file and add its line to `SCHEDULERS`; the contract suite in `tests/contract` then
runs over it. A wrapper (metrics, a check) takes a scheduler and is one.

May import: errors, model, analysis.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping

from lab.errors import UsageError
from lab.schedulers.base import Scheduler, is_calibrated, is_complete, is_sample
from lab.schedulers.dfs import DepthFirst
from lab.schedulers.directed import Directed
from lab.schedulers.dpor import Dpor
from lab.schedulers.feedback import Feedback
from lab.schedulers.pct import PCT
from lab.schedulers.portfolio import PROLOGUE, Portfolio
from lab.schedulers.pos import PartialOrderSampling
from lab.schedulers.random_walk import RandomWalk
from lab.schedulers.serial import Serial
from lab.schedulers.urw import UniformRandomWalk

__all__ = [
    "DEFAULT",
    "INDEPENDENT",
    "SCHEDULERS",
    "Scheduler",
    "describe",
    "is_calibrated",
    "is_complete",
    "is_independent",
    "is_sample",
    "make_scheduler",
    "prologue_of",
]


def _portfolio(seed: int) -> Scheduler:
    return Portfolio(seed, directed=Directed(), reduction=Dpor())


SCHEDULERS: dict[str, Callable[..., Scheduler]] = {
    "dfs": lambda seed, *, preemptions=None: DepthFirst(preemptions=preemptions),
    "directed": lambda seed: Directed(),
    "dpor": lambda seed: Dpor(),
    "feedback": Feedback,
    "pct": PCT,
    "portfolio": _portfolio,
    "pos": PartialOrderSampling,
    "random": RandomWalk,
    "serial": lambda seed: Serial(),
    "urw": UniformRandomWalk,
}
"""Name -> how to make one from a seed. Its keyword-only parameters are its options."""

INDEPENDENT = frozenset({"pct", "pos", "random", "urw"})
"""Those whose executions are independent samples, but for execution 0 of those who measure in it."""

PROLOGUES = {"portfolio": PROLOGUE} | dict.fromkeys(INDEPENDENT, 0)
"""Those of which parts may run anywhere: how many executions at the beginning belong together."""

DEFAULT = "portfolio"


def make_scheduler(name: str, seed: int, **options: int) -> Scheduler:
    """A new scheduler by name. Raises `UsageError` for an unknown one, or an option that it does not have."""
    if name not in SCHEDULERS:
        known = ", ".join(sorted(SCHEDULERS))
        raise UsageError(f"unknown scheduler {name!r}; known are {known}")
    make = SCHEDULERS[name]
    own = [each for each in inspect.signature(make).parameters if each != "seed"]
    for option in options:
        if option not in own:
            has = f"its options are {', '.join(own)}" if own else "it has none"
            raise UsageError(f"the scheduler {name!r} has no option {option!r}; {has}")
    return make(seed, **options)


def describe(name: str, seed: int, options: Mapping[str, int]) -> str:
    """A scheduler as reports name it, for example `pct(depth=3, seed=0)`."""
    return f"{name}({', '.join(f'{key}={value}' for key, value in [*options.items(), ('seed', seed)])})"


def is_independent(name: str) -> bool:
    """Whether the executions of a scheduler are independent samples."""
    return name in INDEPENDENT


def prologue_of(name: str) -> int | None:
    """How many executions must stay together when a hunt is run in parts; None if it cannot be."""
    return PROLOGUES.get(name)
