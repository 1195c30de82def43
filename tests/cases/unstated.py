"""A lost update of which nobody says what must hold."""

from __future__ import annotations

from dataclasses import dataclass

from scenarios.counter import LostCount


@dataclass(frozen=True)
class Unstated(LostCount):
    """Without an invariant, serial runs are the yardstick."""

    every_request_counts = None
