"""Replay: takes the recorded decisions, and stops loudly when they cannot be taken.

Replay is a scheduler like any other, so a replay goes the same way through the engine as the execution that
it repeats. It is not in the list of search policies, since it needs a schedule instead of a seed.
"""

from __future__ import annotations

from lab.errors import Divergence
from lab.model.choices import Choices
from lab.model.decision import Decision, Pause, Strike, struck_in
from lab.model.decision_text import choices_digest, decision_text
from lab.model.schedule import Schedule
from lab.model.trace import Trace
from lab.schedulers.base import Scheduler

__all__ = ["Replay"]

CAUSES = (
    "Likely causes: the scenario, the code it calls or a library changed since the token was made; "
    "another server version; a choice that depends on the clock, on chance or on something outside the lab."
)


class Replay(Scheduler):
    """Repeats one schedule, once for each execution asked for."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule
        self._step = 0

    @property
    def starts(self) -> bool:
        """As in the execution that is repeated."""
        return self._schedule.starts

    @property
    def pauses(self) -> bool:
        """Whether the recording has a breakpoint."""
        return any(isinstance(decision, Pause) for decision in self._schedule)

    @property
    def faults(self) -> tuple[Strike, ...]:
        """Those of the recording, whatever the hunt was asked for."""
        return struck_in(self._schedule)

    def begin(self, execution: int) -> bool:
        """From the first step again. Never over: the caller decides how often."""
        self._step = 0
        return True

    def choose(self, choices: Choices) -> int:
        """The recorded actor. Raises `Divergence` if it cannot run now, or if the recording is at its end."""
        decisions = choices.decisions
        if self._step >= len(self._schedule):
            raise Divergence(
                f"diverged after the last recorded step, {self._step}: expected the end, "
                f"but still runnable: {_listed(decisions)}. {CAUSES}"
            )
        expected = self._schedule.decisions[self._step]
        self._step += 1
        if expected not in decisions:
            raise Divergence(
                f"diverged at step {self._step}: expected {decision_text(expected)} to go on, "
                f"but runnable were: {_listed(decisions)}. {CAUSES}"
            )
        return decisions.index(expected)

    def end(self, trace: Trace) -> None:
        """Raise `Divergence` if the execution ended early or met other choices on the way."""
        if self._step < len(self._schedule):
            expected = decision_text(self._schedule.decisions[self._step])
            raise Divergence(
                f"diverged after step {self._step}: the execution ended, but expected {expected} to go on. {CAUSES}"
            )
        met = choices_digest(step.alternatives for step in trace)
        if self._schedule.choices and met != self._schedule.choices:
            raise Divergence(
                "diverged: every recorded decision could be taken, but who else was runnable differs from "
                f"the recording (met {met}, recorded {self._schedule.choices}). {CAUSES}"
            )


def _listed(decisions: tuple[Decision, ...]) -> str:
    return ", ".join(map(decision_text, decisions))
