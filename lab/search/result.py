"""A failure as a hunt hands it out: with its report, as plain values."""

from __future__ import annotations

from lab.analysis.tally import ReportedFailure
from lab.model.record import Failure
from lab.report.data import plain, story_data
from lab.report.failure import explanation_of, failure_report
from lab.report.relevance import irrelevant_text, needed_text

__all__ = ["reported"]


def reported(failure: Failure) -> ReportedFailure:
    """The plain values of a failure. The report is made here, since only this process has the whole failure."""
    record = failure.record
    finding = record.findings[0]
    explanation = explanation_of(record)
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
        report=failure_report(failure),
        needed=needed_text(failure.relevance, at_least=failure.needed_preemptions),
        irrelevant=irrelevant_text(failure.relevance),
        least=failure.least,
        found_token=failure.found_token,
        explanation=plain(explanation),
        levels=plain(failure.levels),
        relevance=plain(failure.relevance),
        story=story_data(record),
    )
