"""Advice against lost updates: a version check, or one UPDATE that reads and writes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import Facts, Touch
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind, listed
from lab.search.remedies.schema import is_a_moment, is_a_number

__all__ = ["KIND"]

_ATOMIC = "an atomic UPDATE … SET x = x + … (checks in its WHERE)"
_SET = re.compile(r"(?:\bSET|,)\s*(?:\"(?P<quoted>[^\"]+)\"|(?P<plain>\w+))\s*=", re.IGNORECASE)
_CHECKED = re.compile(r"\bSET\b.*?\b(\w+)\"?\s*=.*\bWHERE\b.*\b\1\"?\s*=", re.IGNORECASE | re.DOTALL)
"""An UPDATE that also asks whether a column that it changes still has its old value: it has a version check."""
_RELATIVE = re.compile(r"\bSET\b.*?\b(\w+)\"?\s*=\s*\(?[^=]*\b\1\b", re.IGNORECASE | re.DOTALL)
"""A column gets a value that the server computes from its old one; of what stands before WHERE."""


def _advice(facts: Facts) -> Iterator[Tried]:
    if facts.anomaly not in (None, "P4"):
        return
    pairs = [pair for pair in _overwriting(facts) if not _CHECKED.search(pair[1].text)]
    earlier = {write.table for read, write in pairs if read.access.rows.key and read.part < write.part}
    if unchecked := listed({write.table for _, write in pairs} - earlier):
        yield Tried(f"a version check on {unchecked} (version_id_col)", reason=CODE)
    if earlier:  # the row is loaded anew in the transaction of the UPDATE, with the version that it has by then
        yield Tried(f"a version check on {listed(earlier)}, by the version that was read first", reason=CODE)
    if added := listed({write.table for _, write in pairs if _sets_numbers(facts, write)}):
        yield Tried(f"{_ATOMIC} on {added}", reason=CODE)


def _sets_numbers(facts: Facts, write: Touch) -> bool:
    """Whether all that it sets can be computed where it stands; a time of the change beside that does no harm."""
    columns = [found["quoted"] or found["plain"] for found in _SET.finditer(_change(write))]
    table = facts.table(write.table)
    numbers = [column for column in columns if is_a_number(table, column)]
    return bool(numbers) and all(column in numbers or is_a_moment(table, column) for column in columns)


def _overwriting(facts: Facts) -> Iterator[tuple[Touch, Touch]]:
    """UPDATEs of rows that their actor read before and another writes, too: by a value of the actor's own.

    Each behind the read.
    """
    for at, read in enumerate(facts.touches):
        if not read.is_plain_read:
            continue
        for write in facts.touches[at:]:
            mine = write.actor == read.actor and write.verb == "UPDATE" and write.access.writes
            overwrites = mine and read.access.rows.meet(write.access.rows) and not _RELATIVE.search(_change(write))
            if overwrites and any(_writes_what(other, write) for other in facts.touches):
                yield read, write


def _change(write: Touch) -> str:
    """The statement up to its condition."""
    return re.split(r"\sWHERE\s", write.text, maxsplit=1)[0]


def _writes_what(other: Touch, write: Touch) -> bool:
    return other.actor != write.actor and other.access.writes and other.access.rows.meet(write.access.rows)


KIND = Kind("atomic write", advises=_advice)
