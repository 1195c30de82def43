"""A step from its decision to the next rest."""

from __future__ import annotations

from dataclasses import dataclass

from lab.engine.gate import Actor
from lab.model.choices import Alternative
from lab.model.trace import Result

__all__ = ["Turn"]


@dataclass(slots=True, eq=False)
class Turn:
    """The step that is under way: who takes it, what was chosen among what, and what the server has answered it."""

    actor: Actor
    chosen: Alternative
    alternatives: tuple[Alternative, ...]
    pausable: bool
    """Its statement could be paused between two rows."""
    answer: Result | None = None
    """The last answer to its actor since it was chosen; None if there was none."""
