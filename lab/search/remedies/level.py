"""A higher isolation level, which refuses what would break, and a retry loop around it."""

from __future__ import annotations

from collections.abc import Iterator

from lab.analysis.facts import Facts
from lab.model.record import ExecutionRecord
from lab.model.remedy import Remedy
from lab.scenario.declare import ISOLATION_LEVELS
from lab.search.remedies.kind import ATTEMPTS, Kind, levels_of

__all__ = ["KIND"]


def _higher(facts: Facts) -> Iterator[Remedy]:
    higher = ISOLATION_LEVELS[1 + min(map(ISOLATION_LEVELS.index, facts.levels)) :]
    for level in higher:
        yield Remedy(f"{level} with a retry loop", level, ATTEMPTS, row="a retry loop")
    if facts.deadlocked and higher:
        yield Remedy(f"{higher[-1]} without a retry loop", higher[-1], row="as it is")


def _idle(remedy: Remedy, record: ExecutionRecord) -> str:
    return "" if remedy.isolation in levels_of(record) else "the code sets the level of its transactions itself"


def _left(remedy: Remedy, record: ExecutionRecord) -> str:
    others = levels_of(record) - {remedy.isolation or ""}
    return f"some statements keep the level that the code sets: {', '.join(sorted(others))}" if others else ""


KIND = Kind("level", _higher, idle=_idle, left=_left)
