"""A failure as a hunt hands it out: with its report, as plain values."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from lab.analysis.tally import ReportedFailure
from lab.model.outcome import ActorResult
from lab.model.record import Failure
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
        needed=needed_text(failure.relevance),
        irrelevant=irrelevant_text(failure.relevance),
        least=failure.least,
        late=failure.late > 0,
        sqlstate=next((state for state in map(_sqlstate, record.outcome.results.values()) if state), ""),
        found_token=failure.found_token,
        explanation=None if explanation is None else _plain(explanation),
        levels=[_plain(each) for each in failure.levels],
    )


def _sqlstate(result: ActorResult) -> str:
    return "" if result.aborted else result.sqlstate


def _plain(value: Any) -> Any:
    """A value as JSON has it: the same in this process as from another one."""
    return json.loads(json.dumps(asdict(value)))
