"""Faults: what may strike an actor besides the other actors. A decision like any other, so it replays and shrinks.

A scenario says which faults it is to withstand; none strikes otherwise. In schedules and tokens a fault reads
`cancel@alice`, `kill@alice` or `crash@server`.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.scenario.faults import FaultKind

__all__ = ["SERVER", "Fault"]

SERVER = "server"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and whom it strikes: an actor, or the server."""

    kind: FaultKind
    victim: str

    def __str__(self) -> str:
        return f"{self.kind}@{self.victim}"

    @classmethod
    def named(cls, name: str) -> Fault | None:
        """The fault of a decision's name, or None for the name of an actor."""
        kind, at, victim = name.partition("@")
        return cls(FaultKind(kind), victim) if at else None
