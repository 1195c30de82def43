"""Replaying one schedule several times, and saying how many of the replays were identical."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.errors import Divergence
from lab.explore import Conditions, Explorer
from lab.model.record import ExecutionRecord
from lab.model.schedule import Schedule
from lab.model.verdict import Verdict
from lab.scenario.declare import Scenario
from lab.schedulers.replay import Replay

__all__ = ["Replays", "replay_times"]


@dataclass(frozen=True, slots=True)
class Replays:
    """What the replays of one schedule gave. `record` is the first that is counted as identical, if any."""

    times: int
    identical: int
    record: ExecutionRecord | None
    divergence: str = ""

    @property
    def diverged(self) -> int:
        """Replays that met other choices, or ended otherwise than the first."""
        return self.times - self.identical

    @property
    def verdict(self) -> str:
        """A divergence is never a verdict on the scenario."""
        if self.diverged or self.record is None:
            return Verdict.INCONCLUSIVE
        if self.record.failed:
            return Verdict.FAIL
        return Verdict.PASS if self.record.passed else Verdict.INCONCLUSIVE

    def shown(self) -> dict[str, Any]:
        """For programs."""
        return {
            "times": self.times,
            "identical": self.identical,
            "diverged": self.diverged,
            "verdict": self.verdict,
            "divergence": self.divergence,
            "not_checked": [] if self.record is None else list(self.record.not_checked),
            "uncontrolled": [] if self.record is None else list(self.record.outcome.learnt),
        }


async def replay_times(
    explorer: Explorer,
    scenario: Scenario,
    schedule: Schedule,
    conditions: Conditions,
    times: int,
    *,
    like: ExecutionRecord | None = None,
) -> Replays:
    """Replay a schedule `times` times, and count those that are the same as `like`, by default as the first of them.

    The history and the lines of code are recorded in one replay, the one that is handed back.
    """
    replay = Replay(schedule)
    first: ExecutionRecord | None = None
    identical, divergence = 0, ""
    for _ in range(times):
        try:
            record = await explorer.run(scenario, replay, conditions, recorded=first is None, origins=first is None)
        except Divergence as error:
            divergence = divergence or str(error)
            continue
        model = like or first or record
        if not record.same_as(model):
            divergence = divergence or "the decisions could be repeated, but results or final rows differ"
        elif _objections(record) != _objections(model):
            divergence = divergence or "everything could be repeated, but the invariants did not say the same of it"
        else:
            identical += 1
            first = first or record
    return Replays(times, identical, first, divergence)


def _objections(record: ExecutionRecord) -> frozenset[str]:
    """The invariants that broke: they may ask more than the database. Other checks follow from trace and outcome."""
    return frozenset(finding.name for finding in record.findings if finding.checker == "invariant")
