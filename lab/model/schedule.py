"""A schedule: the decisions of one execution. A frozen value; text is made in `replay_token`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from lab.model.decision import Decision
from lab.model.decision_text import choices_digest
from lab.model.trace import Trace

__all__ = ["Schedule"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The decisions of one execution, one for each step.

    `choices` is a digest of the alternatives that were met on the way, or "" when it is not known. It
    lets a replay notice choices that differ although every recorded decision could still be taken.
    """

    decisions: tuple[Decision, ...] = ()
    choices: str = ""
    starts: bool = False
    """That an actor begins is a decision; else all begin in the order of declaration, before the first one."""

    def __iter__(self) -> Iterator[Decision]:
        return iter(self.decisions)

    def __len__(self) -> int:
        return len(self.decisions)

    @property
    def runs(self) -> tuple[tuple[Decision, int], ...]:
        """Maximal runs of one decision: `((Go("alice"), 2), (Go("bob"), 4))`."""
        return tuple((decision, len(list(group))) for decision, group in groupby(self.decisions))

    @classmethod
    def of(cls, trace: Trace) -> Schedule:
        """The schedule that produced a trace."""
        return cls(
            tuple(step.chosen for step in trace),
            choices_digest(step.alternatives for step in trace),
            trace.starts,
        )
