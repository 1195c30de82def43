"""Objects to an execution in which nobody could go on.

PostgreSQL breaks a deadlock of its own locks. One that passes through the process (two asyncio locks in opposite order,
or a lock held across a statement) is invisible to it: every actor waits for ever. Nor does it see a wait that is no
circle: for an event that nobody sets, or a pool whose connections nobody gives back.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.checker import Checker
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord, Finding
from lab.model.stall_text import circle_text, stall_text

__all__ = ["CHECKER"]


def _stall(record: ExecutionRecord) -> Iterator[Finding]:
    """One finding for a stalled execution: who waits for what."""
    if record.outcome.ending is not Ending.STALLED:
        return
    sentences = [stall_text(each, record.stalls, lines=False) for each in record.stalls]
    if circle := circle_text(record.stalls):
        sentences.append(circle)
    yield Finding("stall", "somebody can always go on", "; ".join(sentences))


CHECKER = Checker(name="stall", headline="STALL", check=_stall, summary="nobody can go on")
