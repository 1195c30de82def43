"""A failure as a hunt hands it out: with its report, as plain values."""

from __future__ import annotations

from typing import Any

from lab.analysis.reported import ReportedFailure
from lab.checkers.causes import cause_of
from lab.checkers.isolation.explanation import Explanation
from lab.checkers.isolation.promises import ISOLATION
from lab.model.outcome import ActorResult
from lab.model.record import Failure
from lab.report.contained import or_else
from lab.report.data import claims_data, plain, story_data
from lab.report.failure import explanation_of, failure_report
from lab.report.html.contents import failure_page
from lab.report.relevance import irrelevant_text, needed_text
from lab.report.section import WIDTH, Message

__all__ = ["page_data", "reported"]


def reported(
    failure: Failure, replay_hint: str = "lab replay TOKEN", *, page: bool = False, width: int = WIDTH
) -> ReportedFailure:
    """The plain values of a failure. The report is made here, since only this process has the whole failure.

    `page`: also what its page is made from; `width`: columns that the report may have.
    """
    record = failure.record
    finding = record.findings[0]
    explanation, _ = or_else(lambda: explanation_of(record), None)
    cause, _ = or_else(lambda: cause_of(record), None)
    nothing: dict[str, Any] = {}
    story, _ = or_else(lambda: story_data(record), nothing)
    return ReportedFailure(
        token=failure.token,
        checker=finding.checker,
        anomaly=next(iter(record.anomalies), None),
        invariant=finding.name if finding.location else None,
        broken=finding.name,
        preemptions=record.trace.preemptions,
        steps=len(record.trace),
        execution=failure.execution,
        identical=failure.identical,
        replays=failure.replays,
        report=failure_report(failure, replay_hint=replay_hint, width=width),
        needed=needed_text(failure.relevance, at_least=failure.needed_preemptions),
        irrelevant=irrelevant_text(failure.relevance),
        least=failure.least,
        late=failure.late > 0,
        sqlstate=next((state for state in map(_sqlstate, record.outcome.results.values()) if state), ""),
        found_token=failure.found_token,
        without_overlap=failure.without_overlap,
        about_database=_about_database(failure, explanation),
        explanation=plain(explanation),
        cause=plain(cause),
        levels=plain(failure.levels),
        relevance=claims_data(failure.relevance),
        story=story,
        page=page_data(failure, replay_hint) if page else {},
    )


def page_data(failure: Failure, replay_hint: str = "lab replay TOKEN") -> dict[str, Any]:
    """What the page of a failure is made from; empty where the lab cannot make it, since it is wrong itself."""
    nothing: dict[str, Any] = {}
    return or_else(lambda: failure_page(Message(failure.record, failure, replay_hint)).dump(), nothing)[0]


def _about_database(failure: Failure, explanation: Explanation | None) -> bool:
    """Whether the database broke a promise; then nothing that changes the code is a remedy."""
    record = failure.record
    promised = explanation is not None and explanation.promised
    return promised or record.database_fault is not None or record.findings[0].checker == ISOLATION


def _sqlstate(result: ActorResult) -> str:
    return "" if result.aborted else result.sqlstate
