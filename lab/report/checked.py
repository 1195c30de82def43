"""A recorded history that was judged: for people in lines, for programs as plain values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lab.checkers.external.inference import Checked
from lab.checkers.isolation.explanation import explain
from lab.model.text import beginning, count
from lab.model.verdict import Verdict
from lab.report.anomaly import anomaly_lines

__all__ = ["checked_json", "checked_lines", "verdict_on"]

SHOWN_KEYS = 5


def verdict_on(checked: Checked) -> tuple[str, str]:
    """The verdict, and why it is inconclusive; fail if something happened that a level promised to prevent."""
    if checked.judgement.broken_promises:
        return Verdict.FAIL, ""
    if not checked.judgement.committed:
        return Verdict.INCONCLUSIVE, "no transaction committed"
    if checked.open_keys:
        keys = beginning(checked.open_keys, SHOWN_KEYS)
        return (
            Verdict.INCONCLUSIVE,
            f'the order of the writes is not known and may hide a violation: {keys}; see "orders"',
        )
    return Verdict.PASS, ""


def checked_lines(checked: Checked) -> Iterator[str]:
    """Each anomaly explained, the verdict, and whether the history is serializable."""
    for anomaly in checked.judgement.anomalies:
        explanation = explain(anomaly, checked.history)
        allowed = "promises to prevent" if explanation.promised else "allows"
        name = "" if explanation.name == explanation.meaning else f"{explanation.name}, "
        yield f"{explanation.meaning.upper()}  {name}which {explanation.level} {allowed}"
        yield from (f"  {line}" for line in anomaly_lines(explanation))
        yield ""
    verdict, reason = verdict_on(checked)
    of = len(checked.history.transactions)
    searched = f"{count(checked.judgement.committed, 'committed transaction')} of {of}, "
    yield f"{verdict}: {searched}{count(checked.judgement.edges, 'dependency', 'dependencies')}"
    if reason:
        yield f"inconclusive because {reason}"
    if checked.serializable:
        yield "serializable: some serial order has the same reads and writes"
    elif verdict == Verdict.PASS:
        unsure = checked.serializable is None
        yield f"{'perhaps not' if unsure else 'not'} serializable, but every level keeps its promises"


def checked_json(checked: Checked) -> dict[str, Any]:
    """The same for programs."""
    verdict, reason = verdict_on(checked)
    return {
        "verdict": verdict,
        "reason": reason,
        "serializable": checked.serializable,
        "transactions": len(checked.history.transactions),
        "committed": checked.judgement.committed,
        "edges": checked.judgement.edges,
        "anomalies": [asdict(explain(anomaly, checked.history)) for anomaly in checked.judgement.anomalies],
    }
