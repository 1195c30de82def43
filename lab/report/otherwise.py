"""What a replay says when it ends otherwise than its token says."""

from __future__ import annotations

from collections.abc import Container

from lab.checkers import CHECKERS, deadlocks
from lab.checkers.isolation.anomalies import MEANING
from lab.model.record import ExecutionRecord
from lab.model.token_verdict import DEADLOCK, TokenVerdict, verdict_of

__all__ = ["otherwise", "title"]

_MEANING = {str(name): meaning for name, meaning in MEANING.items()} | {DEADLOCK: deadlocks.DEADLOCK}


def title(verdict: TokenVerdict) -> str:
    """The first words of the failure message, such as LOST UPDATE."""
    checker = CHECKERS.get(verdict.checker)
    if checker is None:
        return verdict.checker.replace("_", " ").upper()
    if checker.explained and verdict.anomaly in _MEANING:
        return _MEANING[verdict.anomaly].upper()
    return checker.headline


def otherwise(verdict: TokenVerdict | None, record: ExecutionRecord | None, asked: Container[str] = ()) -> str:
    """A sentence where a replay breaks nothing, or something else; "" where it ends as its token says.

    `asked` are the checks that were asked for by name.
    """
    if verdict is None or record is None or verdict.is_of(record):
        return ""
    checker = CHECKERS.get(verdict.checker)
    if checker is not None and checker.name not in asked and checker.must_be_asked(record.scenario):
        was = f"the token was of {title(verdict)}, which only --check {checker.name} finds"
        return f"{was}; this replay was made without it"
    was = f"the token was of {title(verdict)}"
    now = verdict_of(record)
    if now is not None:
        return f'{was}; this replay broke something else: {title(now)}, "{record.findings[0].name}" does not hold'
    return (
        f"{was}; this replay passed: the bug is fixed here, or it needs what an earlier execution left in the process"
    )
