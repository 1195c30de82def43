"""All rows that an actor will lock, locked first and in one order: for those that deadlock."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import DEADLOCK, Facts
from lab.model.footprint import Rows
from lab.model.record import ExecutionRecord
from lab.model.remedy import Price, Remedy
from lab.search.remedies.kind import AUTOCOMMIT, Kind, levels_of, listed

__all__ = ["KIND"]


def _order(facts: Facts) -> Iterator[Remedy]:
    if facts.rows_to_lock is None:
        return
    tables = {table for by_table in facts.rows_to_lock.values() for table in by_table}
    first = tuple((actor, tuple(map(_merged, found.values()))) for actor, found in facts.rows_to_lock.items())
    several = any(len(rows) > 1 or not all(map(_is_one, rows)) for _, rows in first)
    yield Remedy(f"rows of {listed(tables)} locked first{', by key' if several else ''}", lock_first=first)


def _is_one(rows: Rows) -> bool:
    """Whether it is one row, as far as that is known: a single one has no order."""
    return bool(rows.key) and all(len(values) == 1 for _, values in rows.key)


def _merged(rows: list[Rows]) -> Rows:
    """Rows of one table that hold all of these, and no others where one column identifies them."""
    columns = {tuple(column for column, _ in each.key) for each in rows}
    if len(columns) > 1 or len(next(iter(columns))) != 1:
        rows = list(dict.fromkeys(rows))
        return rows[0] if len(rows) == 1 else Rows(rows[0].table)
    ((column,),) = columns
    return Rows(rows[0].table, ((column, frozenset().union(*(values for each in rows for _, values in each.key))),))


def _where_deadlocked(facts: Facts) -> Iterator[Remedy]:
    if facts.deadlocked:
        yield from _order(facts)


def _where_added_locks_deadlock(facts: Facts, other: Remedy, price: Price) -> Iterator[Remedy]:
    if other.lock_reads and DEADLOCK in price.aborts and not facts.deadlocked:
        yield from _order(facts)


def _idle(remedy: Remedy, record: ExecutionRecord) -> str:
    return "there is no transaction that could hold the locks" if levels_of(record) == {AUTOCOMMIT} else ""


KIND = Kind("lock order", _where_deadlocked, follows=_where_added_locks_deadlock, idle=_idle)
