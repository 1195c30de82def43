"""Whether it can matter in which order the actors of a scenario begin."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Starts"]


class Starts(StrEnum):
    """What is known of the order in which actors run what comes before their first scheduling points."""

    FIXED = "fixed"
    """It was tried in several orders and made no difference: all begin in the order of declaration."""
    DECIDED = "decided"
    """It matters: that an actor begins is a step, and so part of the schedule."""
    UNKNOWN = "unknown"
    """It could not be found out. All begin in the order of declaration, and no search has run every trace."""
