"""Remedies: what a reviewer would suggest against a race, as values; and what came of those that were run.

A remedy changes no code of the user's. The level, a retry loop around each actor and locks on rows can be put there by
the lab; what needs a change of the code or of the tables is advice, and is never said to help.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.model.footprint import Rows

__all__ = ["NOT_RUN", "NO_TIME", "STALE", "UNLESS_STARVED", "Applied", "Price", "Remedies", "Remedy", "Tried"]

NOT_RUN = "not run"
"""Beside the three verdicts: it was not run, so nothing is known."""
NO_TIME = "not tried (time)"
"""The same, since the time for remedies was over before its turn came."""
UNLESS_STARVED = "pass unless starved"
"""A retry loop: nothing breaks where a pause lets the others finish; without one, its attempts can be spent in vain."""
STALE = "StaleDataError"
"""How refusals of SQLAlchemy's version check are counted, which have no SQLSTATE."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """What is done differently in an execution; the default is nothing."""

    name: str
    isolation: str | None = None
    """The level of every transaction, unless the code sets one itself."""
    attempts: int = 1
    """How often an actor is run at most: again from its beginning when the server refused it."""
    lock_reads: frozenset[str] = frozenset()
    """Tables whose rows every plain SELECT locks FOR UPDATE."""
    lock_first: tuple[tuple[str, tuple[Rows, ...]], ...] = ()
    """Of an actor: rows that are locked FOR UPDATE, by table and in the order of their keys, before all else in each of
    its transactions."""
    pause: bool = False
    """Whoever was refused is run again when nobody else is at work: as a loop does whose pauses grow."""
    catches: frozenset[str] = frozenset()
    """SQLSTATEs after which an actor is run again as well, beside refusals."""
    row: str = ""
    """What it is besides the level, which several remedies may have in common; "": what its name says."""

    def rows_of(self, actor: str) -> tuple[Rows, ...]:
        """What this actor locks first."""
        return dict(self.lock_first).get(actor, ())

    def dump(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        rows = {
            actor: [
                {"table": each.table, "key": {column: sorted(values) for column, values in each.key}} for each in rows
            ]
            for actor, rows in self.lock_first
        }
        reads = sorted(self.lock_reads)
        loop = {"attempts": self.attempts, "pause": self.pause, "catches": sorted(self.catches)}
        return {"isolation": self.isolation, **loop, "lock_reads": reads, "lock_first": rows}


@dataclass(frozen=True, slots=True)
class Applied:
    """What a remedy did in one execution."""

    retries: Mapping[str, int] = field(default_factory=dict)
    """SQLSTATE, or the name of an error without one -> attempts that it ended and that were made again."""
    attempts: int = 1
    """How many the actor made that made the most."""
    locked: frozenset[str] = frozenset()
    """The SELECTs, as the code sent them, whose rows were locked."""
    left: frozenset[str] = frozenset()
    """Those that read such a table too and could not be given a lock."""
    defect: str = ""
    """What the lab could not lock since it is wrong itself: then nothing is known of the remedy."""


@dataclass(frozen=True, slots=True)
class Price:
    """What some executions cost, all together. `aborts` counts refusals by SQLSTATE."""

    executions: int = 0
    aborts: Mapping[str, int] = field(default_factory=dict)
    lock_waits: int = 0
    seconds: float = 0.0
    times: float | None = None
    """The time of an execution as a multiple of that of the scenario as it is; None where it was not compared."""
    attempts: int = 1
    """The most that an actor made in one of them."""

    def dump(self) -> dict[str, Any]:
        """As numbers for programs, all but `executions` and `times` for one execution."""
        number = max(self.executions, 1)
        return {
            "executions": self.executions,
            "aborts": {state: round(count / number, 3) for state, count in sorted(self.aborts.items())},
            "lock_waits": round(self.lock_waits / number, 3),
            "milliseconds": round(1000 * self.seconds / number, 3),
            "times": None if self.times is None else round(self.times, 2),
            "attempts": self.attempts,
        }


@dataclass(frozen=True, slots=True)
class Tried:
    """One remedy and what came of it. `verdict`: one of the three, or one of those above."""

    name: str
    verdict: str = NOT_RUN
    reason: str = ""
    """What still breaks, why there is no verdict, or why it was not run."""
    note: str = ""
    """What the verdict does not cover."""
    remedy: Remedy | None = None
    price: Price | None = None
    complete: bool = False
    """Every trace was run under it."""

    def dump(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        dumped: dict[str, Any] = {"name": self.name, "verdict": self.verdict, "reason": self.reason, "note": self.note}
        dumped["remedy"] = self.remedy and self.remedy.dump()
        dumped["price"] = self.price and self.price.dump()
        dumped["complete"] = self.complete
        return dumped


@dataclass(frozen=True, slots=True)
class Remedies:
    """All remedies against one failure, those that help first, and the scenario as it is, measured beside them."""

    scheduler: str
    executions: int = 0
    """How many executions each was allowed."""
    attempts: int = 1
    """How often a retry loop tries."""
    isolation: str = ""
    """The level of what failed, "" where each actor has its own."""
    unfixed: Price = Price()
    broken: int = 0
    """How many executions of the scenario as it is broke something."""
    tried: tuple[Tried, ...] = ()
    trouble: str = ""
    """Why none could be tried, "" if some could."""

    def dump(self) -> dict[str, Any]:
        """As values that JSON can hold: the scenario as it is, and the list of remedies."""
        return {
            "remedies_reason": self.trouble,
            "unfixed": {"broken": self.broken, **self.unfixed.dump()},
            "remedies": [each.dump() for each in self.tried],
        }
