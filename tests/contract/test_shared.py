"""Schedulers whose executions others can make: with help each search is what it is alone, on simulated programs."""

from __future__ import annotations

import json
from itertools import islice

import pytest
from test_schedulers import PROGRAMS, Program

from lab.analysis.dependence import Move
from lab.analysis.move_text import footprint_of, footprint_text, move_of, move_values
from lab.analysis.normal_form import digest
from lab.errors import SearchOver
from lab.model.footprint import Access, Footprint, Lock, Rows
from lab.model.trace import ActionKind, Trace
from lab.schedulers import SCHEDULERS, Scheduler, Shared, make_scheduler
from lab.schedulers.course import Course
from lab.schedulers.way import Noting, led_along, way_of

SHARED = [name for name, cls in SCHEDULERS.items() if issubclass(cls, Shared)]
LOOK = 4
"""Executions that are foreseen at a time."""
MOST = 160


class Elsewhere:
    """Makes executions in another process: what passes between the two passes as JSON."""

    def __init__(self, name: str, program: Program) -> None:
        self.scheduler, self.program = make_scheduler(name, 1), program
        if not self.scheduler.calibrated:
            program.run(self.scheduler, 0)
        self.made: dict[str, tuple[Trace, dict, str]] = {}

    def make(self, course: Course) -> None:
        if course.key not in self.made:
            course = Course.load(json.loads(json.dumps(course.dump())))
            assert isinstance(self.scheduler, Shared)
            noting = Noting(self.scheduler if course.is_sample else self.scheduler.follower(course))
            trace = self.program.run(noting, course.number)
            way = json.loads(json.dumps(way_of(trace, stalled=noting.stalled)))
            self.made[course.key] = trace, way, digest(trace)


def takes(scheduler: Scheduler, number: int, elsewhere: Elsewhere) -> Trace | None:
    """The execution that was made elsewhere, if it is the next one."""
    assert isinstance(scheduler, Shared)
    first, *others = [*islice(scheduler.courses(number), LOOK)] or [None]
    for course in others:
        elsewhere.make(course)
    trace, way, form = elsewhere.made.get("" if first is None else first.key, (None, {}, ""))
    if first is not None and first.is_sample and trace is not None:
        scheduler.skip(number, form)
        return trace
    return trace if trace is not None and led_along(scheduler, number, way, form) else None


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("name", SHARED)
def test_a_search_with_help_makes_the_executions_that_it_makes_alone(name, program):
    """In their order, also those of others; and it is over with the same one."""
    alone, helped, elsewhere = make_scheduler(name, 1), make_scheduler(name, 1), Elsewhere(name, program)
    number = -1
    for number, run in enumerate(program.search(alone, MOST)):
        made = takes(helped, number, elsewhere)
        assert (program.run(helped, number) if made is None else made) == run
        assert (helped.bound, helped.predictions) == (alone.bound, alone.predictions)
    if number + 1 < MOST:
        with pytest.raises(SearchOver):
            program.run(helped, number + 1)
        assert takes(helped, number + 1, elsewhere) is None
    assert helped.complete == alone.complete


@pytest.mark.parametrize(
    ("name", "least"),
    [("random", 0.9), ("pct", 0.9), ("dfs", 0.5), ("dpor", 0.3), ("portfolio", 0.6), ("feedback", 0.3)],
)
def test_much_of_a_search_can_be_made_by_others(name, least):
    """Of three actors without a bound on what their steps touch."""
    program = PROGRAMS["three"]
    scheduler, elsewhere = make_scheduler(name, 1), Elsewhere(name, program)
    taken = number = 0
    for number in range(MOST):
        if takes(scheduler, number, elsewhere) is not None:
            taken += 1
            continue
        try:
            program.run(scheduler, number)
        except SearchOver:
            break
    assert taken > least * number


@pytest.mark.parametrize("name", ["dfs", "dpor", "feedback"])
def test_a_way_that_the_search_would_not_go_is_refused_and_changes_nothing(name):
    """What was made for another search: the search makes its own execution, as if nothing had come."""
    program = PROGRAMS["three"]
    alone, spoilt = make_scheduler(name, 1), make_scheduler(name, 1)
    others = [way_of(trace, stalled=False) for trace in program.search(make_scheduler("random", 9), 20)]
    refused = 0
    for number, run in enumerate(program.search(alone, 20)):
        own = way_of(run, stalled=False)
        if own != others[number]:
            assert not led_along(spoilt, number, others[number], "form")
            refused += 1
        assert program.run(spoilt, number) == run
    assert refused > 10


def test_what_a_subtree_leads_to_is_foreseen_by_whoever_makes_its_first_execution():
    """In the order in which the search comes to it, right behind that one."""
    program = PROGRAMS["three"]
    search = make_scheduler("dpor", 0)
    ran = [[step.mover for step in trace] for trace in program.search(make_scheduler("dpor", 0), MOST)]
    for number in range(2):
        program.run(search, number)
    _, later = search.courses(2)
    follower = search.follower(later)
    first = [step.mover for step in program.run(follower, later.number)]
    onward, *_ = follower.courses(later.number)
    second = [step.mover for step in program.run(search.follower(onward), onward.number)]
    assert ran.index(first) > 2
    assert ran.index(second) == ran.index(first) + 1


def test_a_move_is_the_same_as_values():
    """And so is a footprint that is not known."""
    rows = Rows("account", (("id", frozenset({"int:1", "int:2"})),))
    access = Access(rows, Lock.NO_KEY_UPDATE, reads=True, writes=True, scans=True, enters=True)
    footprint = Footprint((access,), (access, Access(Rows("log"), reads=True)), "SERIALIZABLE", snapshot=True)
    move = Move("alice/1", ActionKind.COMMIT, footprint, waited=True, failed=True)
    assert move_of(json.loads(json.dumps(move_values(move)))) == move
    assert footprint_of(footprint_text(None)) is None
