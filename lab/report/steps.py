"""The steps of an execution as plain values, for programs."""

from __future__ import annotations

from typing import Any

from lab.model.record import ExecutionRecord

__all__ = ["steps_of"]


def steps_of(record: ExecutionRecord) -> list[dict[str, Any]]:
    """Each step: its number, its actor ("" for a fault), and `at`: the line of the user's code behind it, or None."""
    return [
        {
            "number": step.number,
            "actor": step.actor,
            "at": None if (origin := record.origin(step.number)) is None else origin.shown(),
        }
        for step in record.trace
    ]
