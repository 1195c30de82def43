"""Objects to an execution after which an invariant that its scenario states does not hold.

Invariants query the database, so `lab.explore` checks them while the final rows are still there.
"""

from __future__ import annotations

from lab.checkers.checker import EVERY_REMEDY, Checker

__all__ = ["CHECKER"]

CHECKER = Checker(
    name="invariant",
    headline="INVARIANT BROKEN",
    check=lambda record: record.broken,
    cured_by=EVERY_REMEDY,
    explained=True,
    race=False,
)
