"""The row to which new rows belong, locked before those that are there are looked at: who only looks locks nothing."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.footprint import Lock, Rows
from lab.model.record import ExecutionRecord
from lab.model.remedy import Remedy
from lab.search.remedies.kind import AUTOCOMMIT, Kind, levels_of, listed, looked_then_inserted
from lab.search.remedies.schema import parents_of

__all__ = ["KIND"]


def _parents(facts: Facts) -> Iterator[Remedy]:
    """Where each actor that inserts locks a parent row of what it looked for, by its foreign key, and it is one row."""
    wanted = {parent for table in looked_then_inserted(facts) for parent in parents_of(facts.table(table))}
    rows: dict[str, dict[str, list[Rows]]] = {}
    for each in facts.touches:
        of_a_key = each.verb == "INSERT" and each.access.lock is Lock.KEY_SHARE and bool(each.access.rows.key)
        if of_a_key and each.table in wanted:
            rows.setdefault(each.actor, {}).setdefault(each.table, []).append(each.access.rows)
    shared = {table for table in wanted if sum(table in found for found in rows.values()) > 1}
    if shared:
        first = {
            actor: tuple(row for table in sorted(shared & found.keys()) for row in dict.fromkeys(found[table]))
            for actor, found in rows.items()
        }
        yield Remedy(f"parent row in {listed(shared)} locked FOR UPDATE first", lock_first=tuple(first.items()))


def _idle(remedy: Remedy, record: ExecutionRecord) -> str:
    return "there is no transaction that could hold the lock" if levels_of(record) == {AUTOCOMMIT} else ""


KIND = Kind("lock parent", _parents, idle=_idle)
