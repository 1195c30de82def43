"""Guided: takes given decisions as far as they reach, then goes on serially. What minimisation runs.

Unlike a replay it never objects: a decision that is too large takes the last alternative, a wish that cannot be
fulfilled now waits. What it really did is in the trace, and only the trace counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.model.choices import Choices
from lab.model.decision import Decision, Strike, struck_in
from lab.schedulers.base import Scheduler

__all__ = ["Guided", "Onward", "Wished"]


class Guided(Scheduler):
    """Follows a list of decisions, as indexes among the runnable; 0 beyond its end."""

    def __init__(self, decisions: Sequence[int]) -> None:
        super().__init__()
        self._decisions = tuple(decisions)

    def begin(self, execution: int) -> bool:
        """The same decisions each time."""
        return True

    def choose(self, choices: Choices) -> int:
        """The given decision, or 0."""
        wished = self._decisions[choices.step] if choices.step < len(self._decisions) else 0
        return min(wished, len(choices.alternatives) - 1)


class Wished(Scheduler):
    """Follows a list of decisions: always the earliest one left that can be taken; 0 when none can.

    An order of steps that was rearranged meets other lock waits than the one it was made from. Then an actor that
    cannot go on is passed over and comes as soon as it can, so the order stays as near to the wish as the locks allow.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        super().__init__()
        self._decisions = tuple(decisions)
        self._left: list[Decision] = []

    @property
    def faults(self) -> tuple[Strike, ...]:
        """Those among its wishes."""
        return struck_in(self._decisions)

    def begin(self, execution: int) -> bool:
        """The same wishes each time."""
        self._left = list(self._decisions)
        return True

    def choose(self, choices: Choices) -> int:
        """The earliest wish that can be fulfilled, or 0."""
        decisions = choices.decisions
        for position, wished in enumerate(self._left):
            if wished in decisions:
                del self._left[position]
                return decisions.index(wished)
        return 0


class Onward(Wished):
    """Wished, but an actor that ran last and has no wish left goes on until it ends or waits.

    Where what broke an actor off is taken away, the actor has more steps than the trace that the wishes come from. To
    let another one go first would be a preemption that nobody wished.
    """

    def choose(self, choices: Choices) -> int:
        """0 where the actor that ran last goes on without a wish; else as wished."""
        wished = {each.actor for each in self._left if not isinstance(each, Strike)}
        if choices.last_goes_on and choices.last not in wished:
            return 0
        return super().choose(choices)
