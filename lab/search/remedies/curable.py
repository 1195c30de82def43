"""Against which failures remedies can be tried, and which kinds of them."""

from __future__ import annotations

from lab.analysis.facts import FOREIGN, UNIQUE
from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.checkers import CHECKERS
from lab.search.job import Job
from lab.search.remedies import REMEDIES
from lab.search.remedies.kind import Kind

__all__ = ["curable", "kinds_against"]


def curable(job: Job, result: HuntResult) -> ReportedFailure | None:
    """The first failure of a hunt against which remedies can be tried, if the hunt was not broken off.

    Not one that needs what an earlier execution left in the process: every remedy would meet it, too. Nor one about the
    database, which is no business of the code's, nor one that is no race.
    """
    if result.trouble or job.conditions.may_strike(job.scenario()):
        return None
    known = [failure for failure in result.failures if failure.fresh_process is not False]
    return next((failure for failure in known if kinds_against(failure.checker) and _is_a_race(failure)), None)


def _is_a_race(failure: ReportedFailure) -> bool:
    """Not an error of the code: of the unexpected ones, those that another's row brings about, or its absence."""
    if failure.about_database or failure.without_overlap:
        return False
    return failure.checker != "result" or failure.sqlstate in (UNIQUE, FOREIGN)


def kinds_against(checker: str) -> list[Kind]:
    """The kinds of remedies that may cure what a checker objects to; none where the lab does not know it."""
    known = CHECKERS.get(checker)
    return [] if known is None else [kind for name, kind in REMEDIES.items() if name in known.cured_by]
