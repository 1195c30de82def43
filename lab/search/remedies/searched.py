"""The executions under one remedy, or under none, until the answer is certain or the time is over.

No hunt: nothing is minimised or reported, each execution is timed by itself, and the end is a moment that all remedies
share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lab.analysis.tally import HuntResult
from lab.errors import SearchOver
from lab.explore import Explorer
from lab.model.record import ExecutionRecord
from lab.model.remedy import Price, Remedy
from lab.model.starts import Starts
from lab.schedulers import Scheduler
from lab.search.job import Job

__all__ = ["Searched", "search"]

CONTRADICTED = "reduction does not hold"
"""How the notes begin on executions that do not agree with what reduction rests on."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An execution that failed, as far as a trial asks for it."""

    message: str
    attempts: int
    """How many the actor made that made the most; 0 where nothing was done under a remedy."""
    refused: bool
    """The server refused an actor for good."""

    @classmethod
    def of(cls, record: ExecutionRecord) -> Broken:
        """What is to be known of it."""
        attempts = record.applied.attempts if record.applied else 0
        refused = any(result.aborted for result in record.outcome.results.values())
        return cls(record.findings[0].message, attempts, refused)


@dataclass(slots=True)
class Searched:
    """What was seen: the counters of a hunt, and the first execution that failed. Another process may have seen it."""

    result: HuntResult
    failed: Broken | None = None
    attempts: int = 1
    """The most that one actor made."""
    seconds: list[float] = field(default_factory=list)
    """Of each execution."""
    late: bool = False
    """The time was over before its end."""
    defect: str = ""
    """What the lab could not do since it is wrong itself."""

    @property
    def reduced(self) -> bool:
        """Whether reduction came to its end, and nothing contradicts it."""
        contradicted = any(each.startswith(CONTRADICTED) for each in self.result.unsearched)
        return self.result.exhausted and not contradicted

    @property
    def typical(self) -> float | None:
        """The median time of an execution, in seconds: the first ones of a remedy prepare what the others find."""
        return sorted(self.seconds)[len(self.seconds) // 2] if self.seconds else None

    def nothing(self) -> Searched:
        """Of the same scenario, before anything was run."""
        return Searched(HuntResult(self.result.target, self.result.seed))

    def count(self, record: ExecutionRecord, seconds: float, *, sampled: bool) -> None:
        """Take in an execution."""
        self.result.count(record, sampled=sampled)
        self.seconds.append(seconds)
        if record.applied is not None:
            self.attempts = max(self.attempts, record.applied.attempts)
            self.defect = self.defect or record.applied.defect
        if record.failed and self.failed is None:
            self.failed = Broken.of(record)

    def add(self, other: Searched) -> None:
        """Take in what another search under the same remedy saw."""
        self.result.add(other.result)
        self.seconds += other.seconds
        self.attempts = max(self.attempts, other.attempts)
        self.failed = self.failed or other.failed
        self.defect = self.defect or other.defect
        self.late = other.late

    def dump(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        return {
            "result": self.result.dump(),
            "failed": self.failed and asdict(self.failed),
            "attempts": self.attempts,
            "seconds": self.seconds,
            "late": self.late,
        }

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Searched:
        """From what `dump` made, as JSON has it."""
        failed = values["failed"] and Broken(**values["failed"])
        return cls(HuntResult.load(values["result"]), failed, values["attempts"], values["seconds"], values["late"])

    def price(self, unfixed: float | None) -> Price:
        """What it cost. `unfixed`: the typical time of the scenario as it is."""
        mine = self.typical
        times = mine / unfixed if mine and unfixed else None
        return replace(self.result.price, seconds=sum(self.seconds), times=times, attempts=self.attempts)


async def search(
    explorer: Explorer,
    job: Job,
    remedy: Remedy | None,
    scheduler: Scheduler,
    numbers: Iterable[int],
    *,
    until: float,
    progress: Callable[[int], None],
) -> Searched:
    """Run executions with these numbers; under a remedy, to the first that fails. None is begun behind `until`.

    `progress` is called after each, with how many there were. Raises what `Explorer.run` raises.
    """
    scenario = job.scenario()
    done = Searched(HuntResult(job.target, job.seed))
    done.result.starts = await explorer.starts(scenario, job.conditions)
    conditions = replace(job.conditions, remedy=remedy, starts=done.result.starts is Starts.DECIDED)
    outcomes: set[str] = set()
    for number in numbers:
        began = time.monotonic()
        if began >= until:
            done.late = True
            break
        try:
            record = await explorer.run(scenario, scheduler, conditions, execution=number)
        except SearchOver:
            done.result.ended(outcomes, complete=scheduler.complete)
            break
        done.count(record, time.monotonic() - began, sampled=scheduler.sampled)
        outcomes |= {record.outcome.digest()} if scheduler.exact else set()
        progress(done.result.executions)
        if record.failed and remedy is not None:
            break
    return done
