"""Advice against deadlocks between FOR UPDATE and foreign keys: a lock that lets others refer to the row."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.footprint import Lock
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, Kind, listed

__all__ = ["KIND"]


def _advice(facts: Facts) -> Iterator[Tried]:
    if facts.deadlocked and (tables := listed(_referred(facts))):
        yield Tried(f"FOR NO KEY UPDATE instead of FOR UPDATE on {tables} (key_share=True)", reason=CODE)


def _referred(facts: Facts) -> set[str]:
    """Tables whose rows are locked FOR UPDATE and referred to by what is inserted, while nobody changes their key."""
    locked = {each.table for each in facts.touches if each.verb == "SELECT" and each.access.lock is Lock.UPDATE}
    referred = {each.table for each in facts.touches if each.verb == "INSERT" and each.access.lock is Lock.KEY_SHARE}
    fixed = {each.table for each in facts.touches if each.access.writes and each.access.lock is Lock.UPDATE}
    return (locked & referred) - fixed


KIND = Kind("weaker lock", advises=_advice)
