"""Objects to a deadlock where the scenario states that there is none, also to one that its code caught.

PostgreSQL breaks it by refusing one of those who wait, so elsewhere it is an abort like any other.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.checker import EVERY_REMEDY, Checker
from lab.model.record import ExecutionRecord, Finding
from lab.scenario.declare import invariants_of

__all__ = ["CHECKER", "DEADLOCK"]

DEADLOCK = "DEADLOCK"


def _deadlocks(record: ExecutionRecord) -> Iterator[Finding]:
    """A finding for each invariant that states there is none: who was refused, and who waited for whom."""
    if not record.deadlocks:  # a 40P01 without the server's detail was asked for, by a fault
        return
    refused = [step.actor for step in record.trace if step.result is not None and step.result.error == "40P01"]
    first = record.deadlocks[0]
    said = ", ".join(f"{edge.waiter} waits for {edge.holder}" for edge in first)
    said = said or f"{' and '.join(dict.fromkeys(refused))} refused (40P01)"
    said += f"; {more} more like it" if (more := len(record.deadlocks) - 1) > 0 else ""
    for stated in invariants_of(type(record.scenario)):
        if stated.checker == "deadlock":
            yield Finding("deadlock", stated.name, said, stated.location)


CHECKER = Checker(name="deadlock", headline=DEADLOCK, check=_deadlocks, cured_by=EVERY_REMEDY)
