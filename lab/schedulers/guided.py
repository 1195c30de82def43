"""Guided: takes given decisions as far as they reach, then goes on serially. What minimisation runs.

Unlike a replay it never objects: a decision that is too large takes the last alternative. What it really did is in
the trace, and only that is believed.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.schedulers.base import Choices
from lab.trace import Trace

__all__ = ["Guided"]


class Guided:
    """Follows a list of decisions, as indexes among the runnable; 0 beyond its end."""

    def __init__(self, decisions: Sequence[int]) -> None:
        self._decisions = tuple(decisions)

    def begin(self, execution: int) -> bool:
        """The same decisions each time."""
        return True

    def choose(self, choices: Choices) -> int:
        """The given decision, or 0."""
        wished = self._decisions[choices.step] if choices.step < len(self._decisions) else 0
        return min(wished, len(choices.alternatives) - 1)

    def end(self, trace: Trace) -> None:
        """Nothing to learn."""
