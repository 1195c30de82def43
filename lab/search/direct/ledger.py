"""What one test did with the lab, for the summary at the end of the run: plain values, since xdist sends them on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.analysis.tally import HuntResult
from lab.report.hunts import hunt_lines

__all__ = ["Ledger", "RaceRecord"]


@dataclass(frozen=True, slots=True, repr=False)
class RaceRecord:
    """What a race came to that broke nothing. Shown, it is the verdict with its limits."""

    target: str
    executions: int
    traces: int
    complete: bool
    """Every trace was run."""
    outcomes: Mapping[str, int]
    """Digest of an outcome -> executions that ended so."""
    text: str

    @classmethod
    def of(cls, result: HuntResult, scheduler: str) -> RaceRecord:
        """From the hunt behind it."""
        text = "\n".join(hunt_lines(result, scheduler))
        outcomes = dict(result.outcomes)
        return cls(result.target, result.executions, len(result.traces), result.complete, outcomes, text)

    def __repr__(self) -> str:
        return self.text


@dataclass(slots=True)
class Ledger:
    """The executions of one test by scenario, and what limits the verdicts."""

    again: str = ""
    """The command that replays TOKEN in this test alone; "" where nobody knows one."""
    scenarios: dict[str, dict[str, Any]] = field(default_factory=dict)

    def checked(self, target: str, *, failed: bool, replayed: bool = False) -> None:
        """One execution."""
        self._count(target, 1, failed=failed)["replayed"] += replayed

    def hunted(self, result: HuntResult, limits: Iterable[str]) -> None:
        """A whole hunt."""
        entry = self._count(result.target, result.executions, failed=bool(result.failures))
        entry["limits"] += [each for each in limits if each not in entry["limits"]]

    def _count(self, target: str, executions: int, *, failed: bool) -> dict[str, Any]:
        fresh = {"executions": 0, "failed": 0, "replayed": 0, "limits": []}
        entry = self.scenarios.setdefault(target, fresh)
        entry["executions"] += executions
        entry["failed"] += failed
        return entry
