"""One search for tuning: executions as in a hunt, up to the first violation, with nothing minimised or shown."""

from __future__ import annotations

import time
from dataclasses import dataclass

from lab.analysis.coverage import Coverage
from lab.analysis.searches import Trial
from lab.errors import SearchOver
from lab.explore import Conditions, Explorer
from lab.model.record import ExecutionRecord
from lab.scenario.declare import Scenario
from lab.search.tuning.candidates import Candidate

__all__ = ["COVERED", "Subject", "searched"]

COVERED = 20
"""Executions at the beginning of a search that coverage is compared by: as many for each, since new ones get rarer."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is searched for: a violation of a scenario under conditions."""

    scenario: Scenario
    conditions: Conditions
    bug: str = ""
    """The invariant that counts, or the checker; "" for any."""

    def is_met(self, record: ExecutionRecord) -> bool:
        """Whether an execution is what is looked for."""
        if not self.bug:
            return record.failed
        return any(self.bug in finding.key for finding in record.findings)


class _Seen:
    """The coverage of the first executions."""

    def __init__(self) -> None:
        self.coverage = Coverage()
        self.executions = 0
        self.traces: set[str] = set()
        self.outcomes: set[str] = set()

    def add(self, record: ExecutionRecord) -> None:
        self.executions += 1
        self.traces.add(self.coverage.count(record.trace, sampled=False))
        self.outcomes.add(record.outcome.digest())

    @property
    def pairs(self) -> int:
        return sum(orders.bit_count() for orders in self.coverage.pairs.values())


async def searched(
    explorer: Explorer, subject: Subject, candidate: Candidate, seed: int, most: int, cap: int, until: float
) -> Trial:
    """One search of at most `most` executions, which ends at `until` (of the monotonic clock) at the latest.

    A short one shows its coverage as well. `cap` stands for its length where the scheduler has no execution left.
    Raises what an execution raises.
    """
    scheduler = candidate.made(seed)
    seen, seconds, run, samples, sampled, met, over = _Seen(), 0.0, 0, 0, False, False, False
    while run < most and not met and time.monotonic() < until:
        began = time.perf_counter()
        try:
            record = await explorer.run(subject.scenario, scheduler, subject.conditions, execution=run)
        except SearchOver:
            over = True
            break
        seconds += time.perf_counter() - began
        run += 1
        sampled = scheduler.independent and scheduler.sampled
        samples += sampled
        met = subject.is_met(record)
        if most <= COVERED:
            seen.add(record)
    return Trial(
        seed=seed,
        executions=cap if over else run,
        met=met,
        whole=over or (most == cap and (met or run == most)),
        seconds=seconds,
        run=run,
        samples=samples,
        met_sample=met and sampled,
        covered=seen.executions,
        traces=len(seen.traces),
        pairs=seen.pairs,
        outcomes=len(seen.outcomes),
    )
