"""Schedules that Hypothesis draws, so that it shrinks data and schedule together.

A decision is one drawn integer, 0 meaning "the actor that ran last goes on". Hypothesis shrinks towards
zeros, hence towards a serial run: what remains are the switches that the failure needs. Decisions are drawn
while the execution runs, since only then is it known how many alternatives there are; a decision without
an alternative draws nothing. Of two equally long lists Hypothesis takes the one with the later switch, even if it has
more of them; so whoever reports the last example (`final`) still minimises its schedule.

Hypothesis ends an example that draws too much by raising `StopTest`. That is no ordinary exception, and anyio's test
runner takes it for the end of everything. So it is kept here: the actors go on serially to their end, the example
then returns as if nothing had happened, and Hypothesis, which knows the state of its test case, discards it.
"""

from __future__ import annotations

from hypothesis.control import current_build_context
from hypothesis.errors import StopTest
from hypothesis.internal.conjecture.data import ConjectureData
from hypothesis.strategies import SearchStrategy

from lab.schedulers.base import FAULT_CHANCE, Choices
from lab.trace import Trace

__all__ = ["DrawnSchedule", "schedules"]


WEIGHED = 0.99
"""Hypothesis wants weights that sum to less than 1; it spreads the rest over all choices alike."""


WEIGHT_OF_A_FAULT = 32
"""Of two failing examples Hypothesis takes the one with fewer choices for the simpler. A fault that ends an actor saves
the choices of its further steps, so a fault that nobody needs would stay; it costs this many choices instead."""


class DrawnSchedule:
    """A scheduler whose decisions are drawn from a Hypothesis test case. Serves one execution."""

    def __init__(self, data: ConjectureData, *, final: bool = False) -> None:
        self._data = data
        self.final = final
        """Hypothesis is done with shrinking, and what this execution shows is what the user will see."""
        self.exhausted = False
        """Hypothesis gives no more choices: what this execution shows is not asked for."""

    def begin(self, execution: int) -> bool:
        """A drawn schedule belongs to one example; a second execution of it goes on drawing."""
        return True

    def choose(self, choices: Choices) -> int:
        """A drawn index, shrinking to 0."""
        most = len(choices.alternatives) - 1
        decision = 0
        if most and not self.exhausted:
            try:
                decision = self._data.draw_integer(0, most, weights=_weights(choices))
                if choices.alternatives[decision].is_extra:
                    for _ in range(WEIGHT_OF_A_FAULT):
                        self._data.draw_boolean(forced=False)
            except StopTest:
                self.exhausted = True
        return decision

    def end(self, trace: Trace) -> None:
        """Nothing to learn."""

    def __repr__(self) -> str:
        return "<drawn; the failure message holds its token>"


def _weights(choices: Choices) -> dict[int, float] | None:
    """Actors alike, faults seldom; None, Hypothesis's own choice, where no fault can strike."""
    actors, all_of_them = choices.actors, len(choices.alternatives)
    faults = all_of_them - actors
    if not faults:
        return None
    fault, actor = WEIGHED * FAULT_CHANCE / faults, WEIGHED * (1 - FAULT_CHANCE) / actors
    return {index: actor if index < actors else fault for index in range(all_of_them)}


class _Schedules(SearchStrategy[DrawnSchedule]):
    def do_draw(self, data: ConjectureData) -> DrawnSchedule:
        return DrawnSchedule(data, final=current_build_context().is_final)

    def __repr__(self) -> str:
        return "schedules()"


def schedules() -> SearchStrategy[DrawnSchedule]:
    """A Hypothesis strategy for schedules: pass the drawn value to `lab.check(scenario, schedule)`."""
    return _Schedules()
