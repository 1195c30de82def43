"""How a hunt goes on where it was: what is left of its job, and whether what was written still holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.analysis.tally import HuntResult
from lab.schedulers import SCHEDULERS, Scheduler
from lab.schedulers.course import Samples
from lab.search.job import Job
from lab.search.kept.frozen import thawed
from lab.search.kept.store import Checkpoint

__all__ = ["Resumed", "resumed"]


@dataclass(slots=True)
class Resumed:
    """Where a hunt goes on: at execution `number`, with what it had counted and what its scheduler knew."""

    number: int
    result: HuntResult
    scheduler: Scheduler | None
    """None: one that makes its executions from their numbers alone."""
    reduced: frozenset[str]

    def rest(self, job: Job) -> Job:
        """What is left of the job."""
        left = job.first + job.executions - self.number
        return replace(job, first=self.number, executions=left, total=job.total or job.executions)

    def is_over(self, job: Job) -> bool:
        """Whether the search had come to its end, so that only what follows it is left."""
        found = self.result.failures and not job.keep_going and self.result.executions >= job.at_least
        return bool(found) or self.number >= job.first + job.executions


def resumed(
    point: Checkpoint | None,
    job: Job,
    then: tuple[Mapping[str, Any], str],
    now: tuple[Mapping[str, Any], str],
) -> tuple[Resumed | None, str]:
    """Where a hunt goes on; None with the reason where it begins anew. `then`, `now`: versions, digest of the source.

    Executions that were made by another version, or of another source, say nothing of the rest.
    """
    if point is None:
        return None, "nothing was written of its executions"
    (versions, source), (new_versions, new_source) = then, now
    if changed := [name for name in new_versions if versions.get(name) != new_versions[name]]:
        was = ", ".join(f"{name} {versions.get(name) or '?'} → {new_versions[name] or '?'}" for name in changed)
        return None, f"other versions than then: {was}"
    if source != new_source:
        return None, f"the source of {job.target} has changed"
    cls = SCHEDULERS[job.scheduler]
    in_parts = cls.prologue is not None and issubclass(cls, Samples)  # as on a cluster, where nobody has a scheduler
    scheduler = None if point.scheduler is None else thawed(point.scheduler)
    if scheduler is None and (not in_parts or point.scheduler is not None):
        return None, "what its scheduler knew cannot be read"
    return Resumed(point.number, point.result, scheduler, frozenset(point.reduced)), ""
