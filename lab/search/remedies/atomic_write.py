"""Advice against lost updates: a version check, or one UPDATE that reads and writes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import Facts, Touch
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind, listed
from lab.search.remedies.schema import is_a_number

__all__ = ["KIND"]

_ATOMIC = "an atomic UPDATE … SET x = x + …"
_SET = re.compile(r"(?:\bSET|,)\s*(\w+)\s*=", re.IGNORECASE)
_CHECKED = re.compile(r"\bSET\b.*?\b(\w+)\s*=.*\bWHERE\b.*\b\1\s*=", re.IGNORECASE | re.DOTALL)
"""An UPDATE that also asks whether a column that it changes still has its old value: it has a version check."""
_RELATIVE = re.compile(r"\bSET\b.*?\b(\w+)\s*=\s*\([^=]*\b\1\b", re.IGNORECASE | re.DOTALL)


def _advice(facts: Facts) -> Iterator[Tried]:
    if facts.anomaly not in (None, "P4"):
        return
    writes = list(_overwriting(facts))
    if unchecked := listed({each.table for each in writes if not _CHECKED.search(each.text)}):
        yield Tried(f"a version check on {unchecked} (version_id_col)", reason=CODE)
    if added := listed({each.table for each in writes if _sets_a_number(facts, each)}):
        yield Tried(f"{_ATOMIC} on {added}", reason=CODE)


def _sets_a_number(facts: Facts, write: Touch) -> bool:
    columns = _SET.findall(write.text.partition(" WHERE ")[0])
    return any(is_a_number(facts.table(write.table), column) for column in columns)


def _overwriting(facts: Facts) -> Iterator[Touch]:
    """UPDATEs of rows that their actor read before and another writes, too: by a value of the actor's own."""
    for at, read in enumerate(facts.touches):
        if not read.is_plain_read:
            continue
        for write in facts.touches[at:]:
            mine = write.actor == read.actor and write.verb == "UPDATE" and write.access.writes
            overwrites = mine and read.access.rows.meet(write.access.rows) and not _RELATIVE.search(write.text)
            if overwrites and any(_writes_what(other, write) for other in facts.touches):
                yield write


def _writes_what(other: Touch, write: Touch) -> bool:
    return other.actor != write.actor and other.access.writes and other.access.rows.meet(write.access.rows)


KIND = Kind("atomic write", advises=_advice)
