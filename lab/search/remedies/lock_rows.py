"""FOR UPDATE on the rows that somebody reads and anybody writes."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.record import ExecutionRecord
from lab.model.remedy import Remedy
from lab.search.remedies.kind import Kind, listed, shortened

__all__ = ["KIND"]


def _locked_reads(facts: Facts) -> Iterator[Remedy]:
    if facts.lock_reads:
        yield Remedy(_name(facts), lock_reads=facts.lock_reads)


def _name(facts: Facts) -> str:
    """PostgreSQL refuses FOR UPDATE behind an aggregate or DISTINCT: there a SELECT of their own locks the rows."""
    reads = [each for each in facts.touches if each.is_plain_read and each.table in facts.lock_reads]
    plain = {each.table for each in reads if not each.folds}
    parts = []
    if plain:
        parts.append(f"SELECT … FOR UPDATE on {listed(plain)}")
    if folded := facts.lock_reads - plain:
        parts.append(f"rows of {listed(folded)} locked FOR UPDATE before they are read")
    return ", ".join(parts)


def _idle(remedy: Remedy, record: ExecutionRecord) -> str:
    applied = record.applied
    if applied is None or applied.locked:
        return ""
    return f"the lab cannot add a lock to {shortened(applied.left)}" if applied.left else "there were no rows to lock"


def _left(remedy: Remedy, record: ExecutionRecord) -> str:
    if record.applied is None or not record.applied.left:
        return ""
    return f"left without a lock: {shortened(record.applied.left)}"


KIND = Kind("lock rows", _locked_reads, idle=_idle, left=_left)
