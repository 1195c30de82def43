"""What the options of `lab hunt` ask for, as a job, and its result as programs get it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.analysis.tally import HuntResult
    from lab.search.job import Job

__all__ = ["hunt_data", "job_of"]


def job_of(options: dict[str, Any], target: str, executions: int) -> Job:
    """The hunt of a target, or of none yet: ""."""
    from lab.explore import Conditions
    from lab.search.job import Job
    from lab.search.tuning.tuned import as_tuned

    job = Job(
        target=target,
        scheduler=options["scheduler"],
        executions=executions,
        seconds=options["seconds"],
        seed=options["seed"],
        keep_going=options["keep_going"],
        options=options["options"],
        conditions=Conditions(
            options["isolation"],
            breakpoints=options["breakpoints"],
            added_faults=options["added_faults"],
            faults_at_most=options["faults_at_most"],
            checks=options["checks"],
        ),
    )
    return as_tuned(job, chosen=options["chosen"])


def hunt_data(result: HuntResult, job: Job) -> dict[str, Any]:
    """The answer of `lab hunt --json`, but for remedies and what is kept."""
    from lab.scenario.registry import resolve

    scenario = resolve(result.target)
    return {
        "target": result.target,
        **result.shown(),
        "seed": result.seed,
        "scheduler": job.scheduler,
        "options": dict(job.options),
        "isolation": job.conditions.isolation,
        "checks": list(job.conditions.checks),
        "faults": list(job.conditions.may_strike(scenario)),
        "faults_at_most": job.conditions.most_faults(scenario),
    }
