"""Objects to an execution in which something happened that the isolation level promised to prevent.

That is a finding about the database, whatever the scenario's invariants say. What the level allows is no finding: it
explains one, where an invariant breaks by it.
"""

from __future__ import annotations

from lab.checkers.isolation.explanation import explain
from lab.checkers.isolation.judge import judge
from lab.model.history import History
from lab.model.record import Finding

__all__ = ["CHECKER", "isolation"]

CHECKER = "isolation"


def isolation(history: History) -> tuple[tuple[str, ...], list[Finding]]:
    """The names of the anomalies in a history, strongest first, and a finding for each that was to be prevented."""
    judgement = judge(history)
    findings = []
    for anomaly in judgement.broken_promises:
        told = explain(anomaly, history)
        sentence = f"{told.level} prevents {told.meaning}"
        findings.append(Finding(CHECKER, sentence, "; ".join(link.sentence for link in told.links)))
    return tuple(anomaly.name.value for anomaly in judgement.anomalies), findings
