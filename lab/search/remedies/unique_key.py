"""Advice to those who look for a row and insert it where there is none: a constraint of the table."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab.analysis.facts import Facts, Touch
from lab.model.remedy import Tried
from lab.search.remedies.kind import TABLES, Kind, listed, looks_before_inserts

__all__ = ["KIND"]

_COUNTS = re.compile(r"\s*SELECT\s+(?:coalesce\s*\(\s*)?count\s*\(", re.IGNORECASE)


def _advice(facts: Facts) -> Iterator[Tried]:
    if facts.anomaly in (None, "PMP", "G2-item", "G2") and (tables := listed(_one_only(facts))):
        yield Tried(f"a unique key or an exclusion constraint on {tables}", reason=TABLES)


def _one_only(facts: Facts) -> set[str]:
    """Tables into which nobody inserts who found a row that is like it: a key would refuse the second one.

    A count of 0 may also be one of several that are allowed. Where two rows are too many, it is not.
    """
    looks = looks_before_inserts(facts)
    found = set()
    for table in {each.table for each in looks}:
        by_actor: dict[str, list[Touch]] = {}
        for each in looks:
            if each.table == table:
                by_actor.setdefault(each.actor, []).append(each)
        pair = len(by_actor) <= 2  # noqa: PLR2004 - two rows
        if all(any(_found_none(each, counts=pair) for each in mine) for mine in by_actor.values()):
            found.add(table)
    return found


def _found_none(look: Touch, *, counts: bool) -> bool:
    """Whether it looked by values that a key can be over, and there was no row with them."""
    return bool(look.access.rows.key) and look.nothing and (counts or not _COUNTS.match(look.text))


KIND = Kind("unique key", advises=_advice)
