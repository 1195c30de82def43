"""`lab check-history`: reads a file, judges the history in it and says what was found."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from lab.checkers.external.history_file import read_history
from lab.checkers.external.inference import Checked, check_recorded
from lab.checkers.isolation.explanation import Explanation, explain
from lab.errors import UsageError
from lab.model.verdict import Verdict
from lab.report.anomaly import anomaly_lines
from lab.report.failure import count

__all__ = ["check_file"]

SHOWN_KEYS = 5


def check_file(out: Console, file: str, *, isolation: str | None, as_json: bool) -> str:
    """The verdict: fail if something happened that a transaction's level promised to prevent."""
    checked = check_recorded(read_history(_decoded(file), isolation))
    verdict, reason = _verdict(checked)
    explanations = [explain(anomaly, checked.history) for anomaly in checked.judgement.anomalies]
    if as_json:
        out.out(json.dumps(_json(checked, explanations, verdict, reason), indent=2))
        return verdict
    for line in _lines(checked, explanations, verdict, reason):
        out.out(line)
    return verdict


def _lines(checked: Checked, explanations: list[Explanation], verdict: str, reason: str) -> Iterator[str]:
    for explanation in explanations:
        whose = "was to be prevented" if explanation.promised else "is allowed"
        yield f"{explanation.meaning.upper()}  {explanation.name}, {whose} at {explanation.level}"
        yield from (f"  {line}" for line in anomaly_lines(explanation))
        yield ""
    of = len(checked.history.transactions)
    searched = f"{count(checked.judgement.committed, 'committed transaction')} of {of}, "
    yield f"{verdict}: {searched}{count(checked.judgement.edges, 'dependency', 'dependencies')}"
    if reason:
        yield f"inconclusive because {reason}"
    if checked.serializable:
        yield "serializable: some serial order has the same reads and writes"
    elif verdict == Verdict.PASS:
        unsure = checked.serializable is None
        yield f"{'perhaps not' if unsure else 'not'} serializable, but what its levels promise is kept"


def _decoded(file: str) -> object:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is no text in UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise UsageError(f"{file} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply to be a history") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    decoded = dict(pairs)
    if len(decoded) < len(pairs):
        names = [name for name, _ in pairs]
        raise UsageError(f'an object names "{next(name for name in names if names.count(name) > 1)}" twice')
    return decoded


def _verdict(checked: Checked) -> tuple[str, str]:
    if checked.judgement.broken_promises:
        return Verdict.FAIL, ""
    if not checked.judgement.committed:
        return Verdict.INCONCLUSIVE, "no transaction committed"
    if checked.open_keys:
        keys = ", ".join(checked.open_keys[:SHOWN_KEYS]) + (", …" if len(checked.open_keys) > SHOWN_KEYS else "")
        return (
            Verdict.INCONCLUSIVE,
            f'the order of the writes is not known and may hide a violation: {keys}; see "orders"',
        )
    return Verdict.PASS, ""


def _json(checked: Checked, explanations: list[Explanation], verdict: str, reason: str) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "reason": reason,
        "serializable": checked.serializable,
        "transactions": len(checked.history.transactions),
        "committed": checked.judgement.committed,
        "edges": checked.judgement.edges,
        "anomalies": [asdict(explanation) for explanation in explanations],
    }
