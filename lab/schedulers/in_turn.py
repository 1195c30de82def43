"""Round robin: one execution in which each actor takes a step, in turn. Nobody asks for it by name."""

from __future__ import annotations

from lab.model.choices import Choices
from lab.model.trace import Trace
from lab.schedulers.base import Scheduler

__all__ = ["InTurn"]


class InTurn(Scheduler):
    """Symmetric races fall in it: each actor has read before the first one writes."""

    def begin(self, execution: int) -> bool:
        """Every execution is the same one."""
        return True

    def choose(self, choices: Choices) -> int:
        """The next runnable actor after the one that ran last; alternative 0 is that one, if it can go on."""
        return int(choices.actors > 1 and choices.last_goes_on)

    def end(self, trace: Trace) -> None:
        """It learns nothing."""
