"""Schedulers: the policies that decide who takes the next step. Pure: no asyncio, no SQL, no clock.

To add one, write its file and add its line to `SCHEDULERS`; the contract suite in `tests/contract` then
runs over it. A wrapper (metrics, a check) takes a scheduler and is one.

May import: errors, model, analysis.
"""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name

from lab.errors import UsageError
from lab.schedulers.base import Option, Scheduler
from lab.schedulers.course import Shared

__all__ = ["DEFAULT", "SCHEDULERS", "Option", "Scheduler", "Shared", "describe", "make_scheduler"]


def _table(*places: str) -> dict[str, type[Scheduler]]:
    """Each class under its own name. A class is named by its place, so that a scheduler is one line here."""
    table: dict[str, type[Scheduler]] = {}
    for place in places:
        cls = resolve_name(f"lab.schedulers.{place}")
        assert issubclass(cls, Scheduler), f"{place} is not a scheduler"
        assert cls.name, f"{place} has no name"
        assert cls.name not in table, f"two schedulers are called {cls.name}"
        table[cls.name] = cls
    return table


SCHEDULERS = _table(
    "dfs:DepthFirst",
    "directed:Directed",
    "dpor:Dpor",
    "feedback:Feedback",
    "pct:PCT",
    "portfolio:Portfolio",
    "pos:PartialOrderSampling",
    "random_walk:RandomWalk",
    "serial:Serial",
    "urw:UniformRandomWalk",
)
"""Name -> the class, which says what it is. Made from a seed and the options that the class declares."""

DEFAULT = "portfolio"


def make_scheduler(name: str, seed: int, **options: int) -> Scheduler:
    """A new scheduler by name. Raises `UsageError` for an unknown one, or an option that it does not have."""
    if name not in SCHEDULERS:
        known = ", ".join(sorted(SCHEDULERS))
        raise UsageError(f"unknown scheduler {name!r}; known are {known}")
    cls = SCHEDULERS[name]
    own = {each.name: each for each in cls.options}
    for option, value in options.items():
        if option not in own:
            has = f"its options are {', '.join(own)}" if own else "it has none"
            raise UsageError(f"the scheduler {name!r} has no option {option!r}; {has}")
        if value < own[option].least:
            raise UsageError(
                f"the option {option!r} of the scheduler {name!r} is at least {own[option].least}, not {value} "
                f"({own[option].help})"
            )
    return cls(seed, **options)


def describe(name: str, seed: int, options: Mapping[str, int]) -> str:
    """A scheduler as reports name it, for example `pct(depth=3, seed=0)`."""
    return f"{name}({', '.join(f'{key}={value}' for key, value in [*options.items(), ('seed', seed)])})"
