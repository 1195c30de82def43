"""Objects to an execution in which something happened that the isolation level promised to prevent.

That is a finding about the database, whatever the scenario's invariants say. What the level allows is not a finding; it
explains one when an invariant breaks because of it. SERIALIZABLE promises a serial order, which the history need not
show: it does not know what a statement looked at beside the rows that it returned.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.checker import Checker, Need
from lab.checkers.serial.equivalence import summary
from lab.model.history import History
from lab.model.record import ExecutionRecord, Finding

__all__ = ["CHECKER", "HEADLINE", "ISOLATION", "anomalies_in"]

ISOLATION = "isolation"


def anomalies_in(history: History) -> tuple[str, ...]:
    """The names of the anomalies in a history, strongest first."""
    from lab.checkers.isolation.judge import judge  # noqa: PLC0415 - see `_broken_promises`

    return tuple(anomaly.name.value for anomaly in judge(history).anomalies)


def _broken_promises(record: ExecutionRecord) -> Iterator[Finding]:
    """A finding for each anomaly that the level promised to prevent."""
    # The command line reads the table of checkers at its start; the graphs are loaded when there is a history.
    from lab.checkers.isolation.explanation import explain  # noqa: PLC0415
    from lab.checkers.isolation.judge import judge  # noqa: PLC0415

    if record.database_fault is not None:
        yield Finding(ISOLATION, "at SERIALIZABLE some serial order gives the same", summary(record.database_fault))
    if record.history is None or not record.anomalies:
        return
    for anomaly in judge(record.history).broken_promises:
        explanation = explain(anomaly, record.history)
        because = "; ".join(link.sentence for link in explanation.links)
        yield Finding(ISOLATION, f"{explanation.level} prevents {explanation.meaning}", because)


HEADLINE = "ISOLATION BROKEN BY THE DATABASE"

CHECKER = Checker(
    name=ISOLATION,
    headline=HEADLINE,
    check=_broken_promises,
    needs=frozenset({Need.HISTORY}),
    help="nothing happened that the isolation level promises to prevent",
)
