"""Advice where an INSERT met a row that is there already: let PostgreSQL decide which of them comes first."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import UNIQUE, Facts, Touch
from lab.model.remedy import Tried
from lab.search.remedies.kind import CODE, READ_COMMITTED, Kind, listed
from lab.search.remedies.schema import unique_keys

__all__ = ["KIND"]


def _advice(facts: Facts) -> Iterator[Tried]:
    if UNIQUE not in facts.errors:
        return
    tables = {
        each.table for each in facts.touches if each.verb == "INSERT" and each.access.writes and _fits(facts, each)
    }
    if not (refused := listed(tables & _refused(facts))):
        return
    yield Tried(f"INSERT … ON CONFLICT on {refused}", reason=CODE)
    if READ_COMMITTED in facts.levels:  # above it, the row of the other would not be seen
        yield Tried(f"a savepoint around the INSERT on {refused}, and the row read again", reason=CODE)


def _fits(facts: Facts, insert: Touch) -> bool:
    """Whether there is a key that it may conflict with, and it does not say what to do then."""
    return bool(unique_keys(facts.table(insert.table))) and "ON CONFLICT" not in insert.text.upper()


def _refused(facts: Facts) -> set[str]:
    """The tables into which the statements wrote that ended with the error."""
    steps = [step for step in facts.record.trace if step.result is not None and step.result.error == UNIQUE]
    return {
        access.rows.table
        for step in steps
        if step.action.touches is not None
        for access in step.action.touches.own or ()
        if access.writes
    }


KIND = Kind("on conflict", advises=_advice)
