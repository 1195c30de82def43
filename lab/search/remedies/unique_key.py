"""Advice to those who look for a row before they insert it: a constraint of the table."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Tried
from lab.search.remedies.kind import TABLES, Kind, listed

__all__ = ["KIND"]


def _advice(facts: Facts) -> Iterator[Tried]:
    if facts.anomaly in (None, "PMP", "G2-item", "G2") and (looked := listed(_looked_then_inserted(facts))):
        yield Tried(f"a unique key or an exclusion constraint on {looked}", reason=TABLES)


def _looked_then_inserted(facts: Facts) -> set[str]:
    looked = set()
    found = set()
    for each in facts.touches:
        if each.verb == "SELECT":
            looked.add((each.actor, each.table))
        elif each.verb == "INSERT" and each.access.writes and (each.actor, each.table) in looked:
            found.add(each.table)
    return found


KIND = Kind("unique key", advises=_advice)
