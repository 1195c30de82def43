"""Advice to those who look for a row before they insert it: a constraint of the table."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.remedy import Tried
from lab.search.remedies.kind import TABLES, Kind, listed, looked_then_inserted

__all__ = ["KIND"]


def _advice(facts: Facts) -> Iterator[Tried]:
    if facts.anomaly in (None, "PMP", "G2-item", "G2") and (looked := listed(looked_then_inserted(facts))):
        yield Tried(f"a unique key or an exclusion constraint on {looked}", reason=TABLES)


KIND = Kind("unique key", advises=_advice)
