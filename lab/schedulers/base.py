"""The interface of a scheduler, modelled on Shuttle's: three methods, and `False` means stop.

Search state lives in the scheduler, which outlives executions. A scheduler sees what the engine sees at
rest and nothing else, so equal choices give equal decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lab.trace import Action, Trace

__all__ = ["Alternative", "Choices", "Scheduler"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """An actor that can take the next step, and what it would do."""

    actor: str
    action: Action
    woken: bool = False


@dataclass(frozen=True, slots=True)
class Choices:
    """What can be chosen at one decision.

    `alternatives` is never empty; index 0 is the actor that ran last if it is still runnable, otherwise the
    next one after it in the order of declaration. So all zeros is a serial run.
    """

    step: int
    alternatives: tuple[Alternative, ...]
    last: str | None = None

    def __post_init__(self) -> None:
        assert self.alternatives, "a decision needs a runnable actor"

    @property
    def names(self) -> tuple[str, ...]:
        """The runnable actors, in the order of decisions."""
        return tuple(alternative.actor for alternative in self.alternatives)


class Scheduler(Protocol):
    """A policy that makes decisions."""

    def begin(self, execution: int) -> bool:
        """Prepare for the execution with this number (from 0, ascending); False: the search is over."""

    def choose(self, choices: Choices) -> int:
        """Index of the alternative that takes the next step."""

    def end(self, trace: Trace) -> None:
        """Learn how the execution went."""
