"""Breakpoints: pauses inside a statement, between two rows that it locks. A decision like any other.

A statement that touches many rows is one step, so two bulk UPDATEs over the same rows in opposite order would never
meet half-way. A breakpoint stops one of them before a row; waking it is then a decision as after any lock wait. In
schedules and tokens it reads `pause2@alice`: alice begins her statement, and pauses before the second row that it
would lock. A row is counted as the lab finds it for the statement; one that meets its rows in another order pauses
elsewhere, or not at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BREAKPOINT", "FOR_AN_EXECUTION", "FOR_A_STATEMENT", "Breakpoint"]

FOR_A_STATEMENT = 3
"""Breakpoints that one statement is offered: more rows make more orders, but hardly other ones."""
FOR_AN_EXECUTION = 2
"""Breakpoints that one execution may hold. A cycle of two needs one, a ring of three, two."""

BREAKPOINT = "a breakpoint"
"""What the trace names as the holder of the lock that a paused statement waits for."""

_NAME = re.compile(r"pause([0-9]{1,9})@(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """The next statement of an actor pauses before the row with this number, from 1, in the order of its locks."""

    row: int
    actor: str

    def __str__(self) -> str:
        return f"pause{self.row}@{self.actor}"

    @classmethod
    def named(cls, name: str) -> Breakpoint | None:
        """The breakpoint of a decision's name, or None for the name of anything else."""
        found = _NAME.fullmatch(name)
        return cls(int(found[1]), found[2]) if found else None
