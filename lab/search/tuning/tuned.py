"""Hunts as `[tool.lab]` tunes them: the scheduler that `lab tune` advised for a scenario, its module or its package."""

from __future__ import annotations

from dataclasses import replace

from lab.errors import UsageError
from lab.scenario.pyproject import settings
from lab.schedulers import make_scheduler
from lab.search.job import Job

__all__ = ["as_tuned"]


def as_tuned(job: Job, *, chosen: bool) -> Job:
    """The job with the scheduler of `tuned`, unless one was `chosen`. Raises `UsageError` if it cannot be made."""
    stated = settings()
    found = None if chosen else stated.tuned_for(job.target)
    if found is None:
        return job
    key, scheduler, options = found
    try:
        make_scheduler(scheduler, job.seed, **options)
    except UsageError as error:
        raise UsageError(f"{stated.file}: [tool.lab] has tuned.{key!r}: {error}") from None
    return replace(job, scheduler=scheduler, options=dict(options))
