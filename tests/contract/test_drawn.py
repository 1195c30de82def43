"""Schedules that Hypothesis draws with the distribution of a scheduler, on simulated programs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from test_schedulers import PROGRAMS, Program

from lab.errors import UsageError
from lab.model.trace import Trace
from lab.schedulers import SCHEDULERS
from lab.schedulers.drawn import DrawnSchedule, schedules

UNEVEN = Program({"alice": 1, "bob": 3})
INDEPENDENT = sorted(name for name, cls in SCHEDULERS.items() if cls.independent)
FIXED = settings(
    derandomize=True, database=None, max_examples=400, deadline=None, suppress_health_check=list(HealthCheck)
)


def run(schedule: DrawnSchedule, program: Program) -> Trace:
    """As `Lab.check` does: a scheduler that wants to see a serial run first is shown one."""
    if not schedule.calibrated:
        assert program.run(schedule).preemptions == 0
    assert schedule.calibrated
    return program.run(schedule)


def places(scheduler: str, **options: int) -> Counter[str]:
    """How often alice's one step comes where among bob's three."""
    found: Counter[str] = Counter()

    @settings(FIXED, phases=[Phase.generate])
    @given(schedules(scheduler=scheduler, **options))
    def draw(schedule: DrawnSchedule) -> None:
        found["".join(step.actor[0] for step in run(schedule, UNEVEN))] += 1

    draw()
    return found


def test_decisions_are_drawn_as_the_scheduler_would_make_them():
    """Alice first: 1/2 by a random walk, 1/4 by URW, 1/2 by PCT without a point of change, which then never preempts.

    400 examples, so four standard deviations are 0.1; Hypothesis's own inclination to small numbers is allowed as much.
    """
    shares = {name: places(name)["abbb"] / 400 for name in ("random", "urw")}
    assert 0.4 < shares["random"] < 0.7
    assert 0.15 < shares["urw"] < 0.4
    pct = places("pct", depth=1)
    assert pct["abbb"] + pct["bbba"] > 0.9 * 400
    assert min(pct["abbb"], pct["bbba"]) > 0.3 * 400


@pytest.mark.parametrize("name", [None, *INDEPENDENT])
def test_a_failing_schedule_shrinks_to_zeros_but_for_the_switches_that_it_needs(name):
    """Bob runs between two steps of alice. One decision suffices; two may stay, as `drawn` says. The seed goes to 0."""
    program = Program({"alice": 4, "bob": 4, "carol": 2})
    runs: list[tuple[DrawnSchedule, Trace]] = []

    def fails(schedule: DrawnSchedule) -> bool:
        trace = run(schedule, program)
        runs.append((schedule, trace))
        names = "".join(step.actor[0] for step in trace)
        return "a" in names[: names.index("b")] and "a" in names[names.rindex("b") :]

    shrunk = find(schedules(scheduler=name), fails, settings=settings(FIXED, max_examples=1000))
    trace = next(trace for schedule, trace in runs if schedule is shrunk)
    assert 1 <= trace.preemptions <= 2
    assert sum(bool(step.index) for step in trace) <= 2
    assert name is None or shrunk.inner._seed == 0


@pytest.mark.parametrize("name", INDEPENDENT)
def test_faults_strike_now_and_then(name):
    """A share of the examples that is neither none nor all."""
    struck = []

    @settings(FIXED, max_examples=100, phases=[Phase.generate])
    @given(schedules(scheduler=name))
    def draw(schedule: DrawnSchedule) -> None:
        struck.append(any(step.is_fault for step in run(schedule, PROGRAMS["faults"])))

    draw()
    assert 10 < sum(struck) < 90


def test_what_cannot_be_drawn_is_wrong_use():
    with pytest.raises(UsageError, match="'dfs' does not draw any"):
        schedules(scheduler="dfs")
    with pytest.raises(UsageError, match="unknown scheduler 'nobody'"):
        schedules(scheduler="nobody")
    with pytest.raises(UsageError, match="'urw' has no option 'depth'"):
        schedules(scheduler="urw", depth=3)
    with pytest.raises(UsageError, match="say which scheduler has the option 'depth'"):
        schedules(depth=3)
    assert repr(schedules(scheduler="pct", depth=3)) == "schedules(scheduler='pct', depth=3)"
    assert repr(schedules()) == "schedules()"
