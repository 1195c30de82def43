"""Objects to an execution in which nobody could go on.

PostgreSQL breaks a deadlock of its own locks. One that passes through the process (two asyncio locks in opposite order,
or a lock held across a statement) is invisible to it: every actor waits for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.checker import Checker
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord, Finding

__all__ = ["CHECKER"]


def _stall(record: ExecutionRecord) -> Iterator[Finding]:
    """One finding for a stalled execution: who waits for what."""
    if record.outcome.ending is not Ending.STALLED:
        return
    parts = []
    for each in record.stalls:
        if each.lock is not None:
            holders = " and ".join(each.lock.holders) or "somebody"
            parts.append(f"{each.actor} waits for {holders} in {each.place}")
        else:
            parts.append(f"{each.actor} waits in the process at {each.place}")
    yield Finding("stall", "somebody can always go on", "; ".join(parts))


CHECKER = Checker(name="stall", headline="STALL", check=_stall, summary="nobody can go on")
