"""A decision: who takes the next step, who pauses inside it, or which fault strikes. Each is a type.

A decision says whom it means, not which place among the alternatives it had: a replay can then say at which step it
left the recorded path and why, where an index would silently pick somebody else. Its text is made in `decision_text`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "BREAKPOINT",
    "FOR_AN_EXECUTION",
    "FOR_A_STATEMENT",
    "SERVER",
    "TIME",
    "Decision",
    "Go",
    "Pause",
    "Strike",
    "struck_in",
]

SERVER = "server"
"""The target of a fault that strikes no single actor."""

TIME = "time"
"""The fault that no scenario asks for: a timeout of an actor's own fires. It can come wherever one is set."""

FOR_A_STATEMENT = 3
"""Breakpoints offered for one statement at most: more rows make more orders, but hardly any of a new kind."""
FOR_AN_EXECUTION = 2
"""Breakpoints that one execution may hold. A cycle of two needs one, a ring of three, two."""

BREAKPOINT = "a breakpoint"
"""What the trace names as the holder of the lock that a paused statement waits for."""


@dataclass(frozen=True, slots=True, order=True)
class Go:
    """An actor takes its next step; `actor` is its name, `alice/1` for a task that alice started."""

    actor: str


@dataclass(frozen=True, slots=True, order=True)
class Pause:
    """An actor begins its next step, a statement, and pauses before a row that it would lock: a breakpoint.

    A statement that touches many rows is one step, so two bulk UPDATEs over the same rows in opposite order would never
    meet half-way. Waking a paused one is a decision as after any lock wait. `place` is the number of the row, from 1,
    in the order in which the lab finds the rows for the statement; a statement that meets them in another order pauses
    elsewhere, or not at all.
    """

    actor: str
    place: int


@dataclass(frozen=True, slots=True, order=True)
class Strike:
    """A fault strikes an actor, or the server (`SERVER`); nobody takes a step. `fault` is its name.

    The engine knows which faults exist (`lab.engine.faults`). A scenario says which of them it must withstand, a hunt
    may be asked for more, and a replay has those of its schedule; no other fault strikes, but for `TIME`.
    """

    fault: str
    actor: str


Decision = Go | Pause | Strike


def struck_in(decisions: Iterable[Decision]) -> tuple[Strike, ...]:
    """The faults among decisions; not `TIME`, which nobody asks for."""
    return tuple(each for each in decisions if isinstance(each, Strike) and each.fault != TIME)
