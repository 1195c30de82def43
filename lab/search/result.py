"""A failure as a hunt hands it out: with its report, as plain values."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from lab.analysis.tally import ReportedFailure
from lab.checkers.causes import cause_of
from lab.checkers.isolation.explanation import Explanation
from lab.checkers.isolation.promises import ISOLATION
from lab.model.record import Failure
from lab.report.contained import or_else
from lab.report.failure import explanation_of, failure_report
from lab.report.relevance import irrelevant_text, needed_text
from lab.report.steps import steps_of

__all__ = ["reported"]


def reported(failure: Failure) -> ReportedFailure:
    """The plain values of a failure. The report is made here, since only this process has the whole failure."""
    record = failure.record
    finding = record.findings[0]
    explanation, _ = or_else(lambda: explanation_of(record), None)
    cause, _ = or_else(lambda: cause_of(record), None)
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
        needed=needed_text(failure.relevance),
        irrelevant=irrelevant_text(failure.relevance),
        least=failure.least,
        found_token=failure.found_token,
        without_overlap=failure.without_overlap,
        about_database=_about_database(failure, explanation),
        explanation=None if explanation is None else _plain(explanation),
        cause=None if cause is None else _plain(cause),
        levels=[_plain(each) for each in failure.levels],
        story=steps_of(record),
    )


def _about_database(failure: Failure, explanation: Explanation | None) -> bool:
    """Whether the database broke a promise; then nothing that changes the code is a remedy."""
    record = failure.record
    promised = explanation is not None and explanation.promised
    return promised or record.database_fault is not None or record.findings[0].checker == ISOLATION


def _plain(value: Any) -> Any:
    """A value as JSON has it: the same in this process as from another one."""
    return json.loads(json.dumps(asdict(value)))
