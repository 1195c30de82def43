"""Depth-first search: every schedule of a simulated program exactly once, those with few preemptions first."""

from __future__ import annotations

import math

import pytest
from test_schedulers import ENOUGH, PROGRAMS, Program, decisions

from lab.errors import Divergence, UsageError
from lab.model.decision import Go
from lab.model.trace import Trace
from lab.schedulers import make_scheduler
from lab.schedulers.dfs import DepthFirst
from lab.schedulers.guided import Guided


def every(program: Program, **options: int) -> list[Trace]:
    return [*program.search(make_scheduler("dfs", 0, **options), ENOUGH)]


def brute_force(program: Program) -> set[tuple[str, ...]]:
    """Every schedule, by trying the next decision of each step until there is none."""
    found, decisions = set(), []
    while True:
        trace = program.run(Guided(decisions))
        found.add(tuple(step.chosen for step in trace))
        decisions = [step.index for step in trace]
        while decisions and decisions[-1] + 1 == len(trace.steps[len(decisions) - 1].alternatives):
            decisions.pop()
        if not decisions:
            return found
        decisions[-1] += 1


@pytest.mark.parametrize("steps", [(1, 1), (2, 2), (3, 3), (4, 3), (2, 2, 2), (1, 3, 2)])
def test_it_runs_as_many_schedules_as_there_are_interleavings(steps):
    """A multinomial coefficient: 20 for two actors of three steps, 90 for three of two."""
    traces = every(Program(dict(zip("abc", steps, strict=False))))
    schedules = {tuple(step.actor for step in trace) for trace in traces}
    assert len(traces) == len(schedules)
    assert len(traces) == math.factorial(sum(steps)) // math.prod(map(math.factorial, steps))


@pytest.mark.parametrize("program", [*PROGRAMS.values(), Program({"a": 3, "b": 2, "c": 1}, locked=True, faults=1)])
def test_it_runs_what_brute_force_runs(program):
    """Waits, wake-ups and faults included."""
    traces = every(program)
    schedules = {tuple(step.chosen for step in trace) for trace in traces}
    assert len(traces) == len(schedules)
    assert schedules == brute_force(program)


@pytest.mark.parametrize("program", PROGRAMS.values())
def test_few_preemptions_come_first(program):
    """An extra counts as one; in these programs a fault that strikes a runner's rival preempts nobody."""
    costs = [sum(bool(step.preempted) or not isinstance(step.chosen, Go) for step in trace) for trace in every(program)]
    assert costs == sorted(costs)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_with_a_bound_it_runs_exactly_the_schedules_within_it(most):
    program = Program({"a": 3, "b": 3, "c": 1})
    wanted = sum(trace.preemptions <= most for trace in every(program))
    assert len(every(program, preemptions=most)) == wanted


def test_it_tells_the_bound_that_it_works_at():
    scheduler = DepthFirst()
    bounds = [scheduler.bound] + [scheduler.bound for _ in PROGRAMS["two"].search(scheduler, 100)]
    assert bounds == [*sorted(bounds[:-1]), None]
    assert (bounds[0], bounds[-2], scheduler.complete) == (0, 2, True)


def test_an_execution_that_was_broken_off_comes_again():
    scheduler = DepthFirst()
    program = Program({"a": 2, "b": 2})
    found = []
    while scheduler.begin(0):  # and nothing comes of it
        found.append(tuple(step.actor for step in program.run(scheduler)))
    assert len(found) == len(set(found)) == 6


def test_a_program_that_changes_cannot_be_searched_exhaustively():
    scheduler = DepthFirst()
    Program({"a": 1, "b": 1, "c": 1}).run(scheduler)
    with pytest.raises(Divergence, match="depends on more than its schedule"):
        Program({"a": 2}).run(scheduler)


def test_a_negative_bound_is_wrong_use():
    with pytest.raises(UsageError, match="the option 'preemptions' of the scheduler 'dfs' is at least 0, not -1"):
        make_scheduler("dfs", 0, preemptions=-1)


def test_the_first_execution_is_the_serial_run_of_declaration():
    assert decisions(lambda: make_scheduler("dfs", 0), PROGRAMS["three"], 1) == [
        ["alice"] + ["bob"] * 3 + ["carol"] * 2
    ]
