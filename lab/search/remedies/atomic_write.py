"""Advice against lost updates: a version check, or one UPDATE that reads and writes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import Facts, Touch
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind, listed

__all__ = ["KIND"]

_ATOMIC = "an atomic UPDATE … SET x = x + …"
_RELATIVE = re.compile(r"\bSET\b.*?\b(\w+)\s*=\s*\([^=]*\b\1\b", re.IGNORECASE | re.DOTALL)


def _advice(facts: Facts) -> Iterator[Tried]:
    if facts.anomaly in (None, "P4") and (lost := listed(_overwritten(facts))):
        yield Tried(f"a version check on {lost} (version_id_col)", reason=CODE)
        yield Tried(f"{_ATOMIC} on {lost}", reason=CODE)


def _overwritten(facts: Facts) -> set[str]:
    """Tables of which two actors write one row, at least one of them after it read it and by a value of its own."""
    found = set()
    for at, read in enumerate(facts.touches):
        if not read.is_plain_read:
            continue
        for write in facts.touches[at:]:
            mine = write.actor == read.actor and write.verb == "UPDATE" and write.access.writes
            if mine and read.access.rows.meet(write.access.rows) and not _RELATIVE.search(write.text):
                found |= {read.table for other in facts.touches if _writes_what(other, write)}
    return found


def _writes_what(other: Touch, write: Touch) -> bool:
    return other.actor != write.actor and other.access.writes and other.access.rows.meet(write.access.rows)


KIND = Kind("atomic write", advises=_advice)
