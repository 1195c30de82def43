"""Schedules that Hypothesis draws, so that it shrinks data and schedule together.

A decision is one drawn integer, 0 meaning "the actor that ran last goes on". Hypothesis shrinks towards
zeros, hence towards a serial run: what remains are the switches that the failure needs. Decisions are drawn
while the execution runs, since only then is it known how many alternatives there are; a decision without
an alternative draws nothing. Of two equally long lists Hypothesis takes the one with the later switch, even if it has
more of them; so the report of the last example (`final`) still minimises its schedule.

With `schedules(scheduler="pct", depth=3)` the decisions follow the distribution of that scheduler. It proposes, from a
seed that is drawn once, and the decision is still drawn, with nearly all weight on the proposal. Hypothesis ignores
weights when it repeats and shrinks choices. So the list of choices means the same decisions whatever the scheduler
would have said: the seed shrinks to 0 at once, and the decisions to zeros as they always do. What is proposed must be
a function of the choices drawn so far, so nothing is learned from example to example; a scheduler that measures
lengths is shown a serial run of the example's own data (`Lab.check` does that).

Nothing is reported to `hypothesis.target`. Hypothesis climbs only when half of its examples are spent, and then
towards the largest number: the schedules with most lock waits or switches are not those with the bug, which mostly
needs one preemption and no wait.

Hypothesis ends an example that draws too much by raising `StopTest`. That is not an ordinary exception, and anyio's
test runner stops everything when it sees it. So it is kept here: the actors go on serially to their end, the example
then returns as if nothing had happened, and Hypothesis, which knows the state of its test case, discards it.
"""

from __future__ import annotations

from hypothesis.control import current_build_context
from hypothesis.errors import StopTest
from hypothesis.internal.conjecture.data import ConjectureData
from hypothesis.strategies import SearchStrategy

from lab.errors import UsageError
from lab.model.choices import Choices
from lab.model.trace import Trace
from lab.schedulers import SCHEDULERS, make_scheduler
from lab.schedulers.base import FAULT_CHANCE, Scheduler
from lab.schedulers.guided import Guided
from lab.schedulers.wrapper import Wrapper

__all__ = ["DrawnSchedule", "schedules"]


WEIGHED = 0.99
"""Hypothesis wants weights that sum to less than 1; it spreads the rest over all choices alike."""


SEEDS = 2**32

WEIGHT_OF_A_FAULT = 32
"""Of two failing examples Hypothesis takes the one with fewer choices for the simpler. A fault that ends an actor saves
the choices of its further steps, so an unnecessary fault would stay; it costs this many choices instead."""


class DrawnSchedule(Wrapper):
    """A scheduler whose decisions are drawn from a Hypothesis test case. Serves one execution."""

    def __init__(self, data: ConjectureData, *, policy: Scheduler | None = None, final: bool = False) -> None:
        super().__init__(policy or Guided(()))
        self._data = data
        self._alike = policy is None
        """No scheduler proposes the decisions: all actors are equally likely."""
        self._measuring = False
        self._final = final
        self._exhausted = False

    @property
    def sampled(self) -> bool:
        """Never: Hypothesis repeats and varies what it found."""
        return False

    @property
    def final(self) -> bool:
        """Hypothesis is done with shrinking, and what this execution shows is what the user will see."""
        return self._final

    @property
    def exhausted(self) -> bool:
        """Hypothesis allows no more choices, so it ignores what this execution shows."""
        return self._exhausted

    def begin(self, execution: int) -> bool:
        """A drawn schedule belongs to one example; a second execution of it goes on drawing.

        While it is not calibrated, execution 0 is a serial run that draws nothing.
        """
        self._measuring = not execution and not self.calibrated
        return self.inner.begin(0 if self._measuring else 1 + execution)

    def choose(self, choices: Choices) -> int:
        """A drawn index, shrinking to 0."""
        most = len(choices.alternatives) - 1
        decision = 0
        if self._measuring:
            return decision
        weights = _weights(choices) if self._alike else {self.inner.choose(choices): WEIGHED}
        if most and not self._exhausted:
            try:
                decision = self._data.draw_integer(0, most, weights=weights)
                if choices.alternatives[decision].is_extra:
                    for _ in range(WEIGHT_OF_A_FAULT):
                        self._data.draw_boolean(forced=False)
            except StopTest:
                self._exhausted = True
        return decision

    def end(self, trace: Trace) -> None:
        """Nothing to learn, except for a scheduler that measures."""
        if self._measuring:
            self.inner.end(trace)

    def __repr__(self) -> str:
        return "<drawn; the failure message holds its token>"


def _weights(choices: Choices) -> dict[int, float] | None:
    """Equal weights for actors, small ones for faults; None, Hypothesis's own choice, where no fault can strike."""
    actors, all_of_them = choices.actors, len(choices.alternatives)
    faults = all_of_them - actors
    if not faults or not actors:
        return None
    fault, actor = WEIGHED * FAULT_CHANCE / faults, WEIGHED * (1 - FAULT_CHANCE) / actors
    return {index: actor if index < actors else fault for index in range(all_of_them)}


class _Schedules(SearchStrategy[DrawnSchedule]):
    def __init__(self, scheduler: str | None, options: dict[str, int]) -> None:
        super().__init__()
        self._scheduler, self._options = scheduler, options

    def do_draw(self, data: ConjectureData) -> DrawnSchedule:
        policy = None
        if self._scheduler is not None:
            policy = make_scheduler(self._scheduler, data.draw_integer(0, SEEDS - 1), **self._options)
        return DrawnSchedule(data, policy=policy, final=current_build_context().is_final)

    def __repr__(self) -> str:
        if self._scheduler is None:
            return "schedules()"
        options = "".join(f", {name}={value}" for name, value in self._options.items())
        return f"schedules(scheduler={self._scheduler!r}{options})"


def schedules(*, scheduler: str | None = None, **options: int) -> SearchStrategy[DrawnSchedule]:
    """A Hypothesis strategy for schedules: pass the drawn value to `lab.check(scenario, schedule)`.

    With the name of a sampling scheduler and its options, as in `schedules(scheduler="pct", depth=3)`, decisions are
    drawn as that scheduler would make them. Without one, all actors are equally likely, and Hypothesis varies what it
    found. Raises `UsageError` for a scheduler that does not sample.
    """
    if scheduler is None and options:
        raise UsageError(f"say which scheduler has the option {next(iter(options))!r}: schedules(scheduler=…)")
    if scheduler is not None:
        make_scheduler(scheduler, 0, **options)
        if not SCHEDULERS[scheduler].independent:
            raise UsageError(f"schedules() draws independent samples, and {scheduler!r} does not draw any")
    return _Schedules(scheduler, options)
