"""What every scheduler promises, shown on simulated programs: no server, no loop, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from helpers.decided import offer
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import Divergence, SearchOver, UsageError
from lab.model.choices import Alternative, Choices
from lab.model.decision import Pause, Strike
from lab.model.decision_text import decision_text
from lab.model.schedule import Schedule
from lab.model.trace import Action, ActionKind, Step, Trace
from lab.schedulers import DEFAULT, SCHEDULERS, Scheduler, make_scheduler
from lab.schedulers.guided import Guided
from lab.schedulers.replay import Replay

ENOUGH = 600
"""Executions after which a search of these small programs must be over, if it ever is."""


@dataclass(frozen=True)
class Program:
    """Actors with so many steps each; the first step of each takes the lock, the last gives it back.

    With `locked`, an actor that finds the lock taken waits, as in PostgreSQL, and is woken when it is free. `faults`
    is how many faults may strike; a struck actor ends at once. `breakpoints` is how many may be
    set; the step that one would pause never meets its row.
    """

    steps: Mapping[str, int]
    locked: bool = False
    faults: int = 0
    breakpoints: int = 0

    def run(self, scheduler: Scheduler, execution: int = 0) -> Trace:
        """One execution, from `begin` to `end`. Raises `SearchOver` as the explorer does."""
        if not scheduler.begin(execution):
            raise SearchOver("over")
        left = dict(self.steps)
        holder: str | None = None
        waiting: set[str] = set()
        last: str | None = None
        faults, breakpoints = self.faults, self.breakpoints
        trace: list[Step] = []
        while runnable := [name for name in left if left[name] and not (name in waiting and holder)]:
            names = sorted(left)
            order = names if last is None else names[names.index(last) :] + names[: names.index(last)]
            alternatives = [
                offer(name, Action(ActionKind.STATEMENT, f"{name} {left[name]}"), name in waiting)
                for name in order
                if name in runnable
            ]
            if faults:
                alternatives += [
                    Alternative(Strike("kill", each.actor), Action(ActionKind.FAULT, "kill")) for each in alternatives
                ]
            if breakpoints:
                alternatives += [
                    Alternative(Pause(each.actor, 2), each.action)
                    for each in alternatives
                    if not (each.is_fault or each.woken)
                ]
            choices = Choices(len(trace), tuple(alternatives), last, trace[-1] if trace else None)
            index = scheduler.choose(choices)
            assert isinstance(index, int)
            assert 0 <= index < len(alternatives), f"{index} of {len(alternatives)}"
            chosen = alternatives[index]
            actor, decision = chosen.actor, chosen.decision
            breakpoints -= isinstance(decision, Pause)
            runs_on = last == alternatives[0].actor and not chosen.is_fault
            preempted = last if last and last != actor and runs_on else ""
            number, offered = len(trace) + 1, choices.decisions
            trace.append(Step(number, decision, offered, chosen.action, chosen.woken, preempted=preempted))
            if isinstance(decision, Strike):
                faults -= 1
                name = decision.actor
                left[name] = 0
                holder = None if holder == name else holder
                continue
            name = last = actor
            if self.locked and left[name] == self.steps[name]:
                if holder:
                    waiting.add(name)
                    continue
                waiting.discard(name)
                holder = name
            left[name] -= 1
            if not left[name] and holder == name:
                holder = None
        result = Trace(tuple(trace), tuple(self.steps))
        scheduler.end(result)
        return result

    def search(self, scheduler: Scheduler, most: int) -> Iterator[Trace]:
        """One execution after the other until the search is over, or so many."""
        for number in range(most):
            try:
                trace = self.run(scheduler, number)
            except SearchOver:
                return
            yield trace


PROGRAMS = {
    "two": Program({"alice": 2, "bob": 2}),
    "three": Program({"alice": 1, "bob": 3, "carol": 2}),
    "locked": Program({"alice": 3, "bob": 2}, locked=True),
    "one": Program({"alice": 4}),
    "nothing": Program({"alice": 0, "bob": 0}),
    "faults": Program({"alice": 2, "bob": 2}, faults=1),
    "breakpoints": Program({"alice": 2, "bob": 2}, breakpoints=1),
}


def decisions(make: Callable[[], Scheduler], program: Program, executions: int) -> list[list[str]]:
    return [[decision_text(step.mover) for step in trace] for trace in program.search(make(), executions)]


@pytest.fixture(params=sorted(SCHEDULERS))
def name(request) -> str:
    return request.param


@pytest.fixture(params=sorted(PROGRAMS))
def program(request) -> Program:
    return PROGRAMS[request.param]


def test_the_same_seed_gives_the_same_decisions(name, program):
    first = decisions(lambda: make_scheduler(name, 7), program, 20)
    assert first
    assert decisions(lambda: make_scheduler(name, 7), program, 20) == first


def test_a_decision_is_always_one_of_the_alternatives(name, program):
    for seed in range(5):
        assert decisions(lambda: make_scheduler(name, seed), program, 40)  # noqa: B023 - `run` asserts it


def test_every_execution_begins_afresh(name, program):
    """An execution that was broken off, so that nobody called `end`, does not spoil the next."""
    scheduler = make_scheduler(name, 3)
    assert scheduler.begin(0)
    alternatives = tuple(offer(each, Action(ActionKind.POINT, "x")) for each in program.steps)
    scheduler.choose(Choices(0, alternatives))
    assert [*program.search(scheduler, 3)], "nothing was run to its end, so there is something left to run"


def test_a_search_that_ends_stays_ended_and_says_so_without_a_run(name, program):
    scheduler = make_scheduler(name, 1)
    number = sum(1 for _ in program.search(scheduler, ENOUGH))
    assert number > 0
    if SCHEDULERS[name].independent:
        assert number == ENOUGH, "a sampler is never over"
    elif number < ENOUGH:
        assert not scheduler.begin(number + 1)


def test_parts_of_an_independent_search_can_run_anywhere(name, program):
    """The execution with a number is the same whichever ran before it, once execution 0 was run if it is needed."""
    prologue = SCHEDULERS[name].prologue
    if prologue is None:
        assert name != DEFAULT
        assert not SCHEDULERS[name].independent
        return
    whole = decisions(lambda: make_scheduler(name, 5), program, prologue + 12)
    for number in (11, 3, 7):
        scheduler = make_scheduler(name, 5)
        if not scheduler.calibrated:
            program.run(scheduler)
            assert scheduler.calibrated
        trace = program.run(scheduler, prologue + number)
        assert [decision_text(step.mover) for step in trace] == whole[prologue + number]


def test_what_counts_as_a_sample(name):
    """Every execution of an independent sampler but the one it measures in; of the others, only the portfolio's."""
    scheduler = make_scheduler(name, 5)
    measures = not scheduler.calibrated
    samples = [scheduler.sampled for _ in PROGRAMS["three"].search(scheduler, 60)]
    if SCHEDULERS[name].independent:
        assert samples == [not measures] + [True] * 59
    elif name == DEFAULT:
        assert samples[:2] == [False, False]
        assert samples.count(True) > 40
    else:
        assert not any(samples)


def test_seeds_differ(name):
    if not SCHEDULERS[name].independent:
        assert decisions(lambda: make_scheduler(name, 1), PROGRAMS["two"], 1)
        return
    program = Program({"alice": 6, "bob": 6})  # 924 interleavings
    found = {str(decisions(lambda: make_scheduler(name, seed), program, 3)) for seed in range(8)}  # noqa: B023
    assert len(found) > 1


def test_every_scheduler_can_be_replayed(name, program):
    scheduler = make_scheduler(name, 2)
    for trace in program.search(scheduler, 10):
        replay = Replay(Schedule.of(trace))
        assert [program.run(replay, again) for again in range(2)] == [trace, trace]


def test_an_unknown_scheduler_is_wrong_use_and_told_which_there_are():
    with pytest.raises(UsageError, match=r"unknown scheduler 'nobody'; known are .*random"):
        make_scheduler("nobody", 0)


def test_a_random_walk_meets_every_interleaving_of_a_small_program():
    """6 interleavings, the rarest with chance 1/8: all within 200 executions but for 6 * (7/8)**200 < 2e-11."""
    found = {tuple(each) for each in decisions(lambda: make_scheduler("random", 0), PROGRAMS["two"], 200)}
    assert len(found) == 6


def test_serial_runs_every_order_of_the_actors_once():
    found = decisions(lambda: make_scheduler("serial", 0), PROGRAMS["three"], 100)
    assert len(found) == 6
    assert len({tuple(each) for each in found}) == 6
    for each in found:
        changes = sum(one != other for one, other in pairwise(each))
        assert changes == 2, each


def test_serial_without_preemption_survives_locks():
    scheduler = make_scheduler("serial", 0)
    assert [trace.preemptions for trace in PROGRAMS["locked"].search(scheduler, 100)] == [0, 0]


def test_decisions_of_zeros_are_a_serial_run():
    trace = PROGRAMS["three"].run(Guided([]))
    assert [step.actor for step in trace] == ["alice"] + ["bob"] * 3 + ["carol"] * 2
    assert trace.preemptions == 0


def test_guided_takes_what_it_can_and_never_objects():
    trace = PROGRAMS["two"].run(Guided([1, 99, 0]))
    assert [step.actor for step in trace][:2] == ["bob", "alice"]
    assert len(trace) == 4


def recorded(program: Program) -> Schedule:
    return Schedule.of(program.run(Guided([0, 1, 1])))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Program({"alice": 2, "bob": 1}), "the execution ended, but expected"),
        (Program({"alice": 3, "bob": 2}), "diverged after the last recorded step, 4: expected the end"),
        (Program({"alice": 1, "carol": 3}), "diverged at step 2: expected bob to go on, but runnable were: "),
    ],
)
def test_a_replay_that_cannot_be_followed_diverges_loudly(other, message):
    replay = Replay(recorded(PROGRAMS["two"]))
    with pytest.raises(Divergence, match=message) as raised:
        other.run(replay)
    assert "Likely causes" in str(raised.value)


def test_a_replay_in_which_others_were_runnable_diverges():
    schedule = replace(recorded(PROGRAMS["two"]), choices="aaaaa")
    with pytest.raises(Divergence, match="who else was runnable differs"):
        PROGRAMS["two"].run(Replay(schedule))


def test_where_faults_could_strike_does_not_matter_to_a_replay():
    schedule = recorded(PROGRAMS["two"])
    trace = Program({"alice": 2, "bob": 2}, faults=1).run(Replay(schedule))
    assert tuple(step.chosen for step in trace) == schedule.decisions


def test_a_schedule_whose_choices_are_not_known_replays_by_its_decisions_alone():
    schedule = Schedule(recorded(PROGRAMS["two"]).decisions)
    replay = Replay(schedule)
    trace = Program({"alice": 2, "bob": 2}, faults=1).run(replay)
    assert tuple(step.chosen for step in trace) == schedule.decisions


@settings(max_examples=150, deadline=None)
@given(
    steps=st.dictionaries(st.sampled_from(["alice", "bob", "carol", "dave"]), st.integers(0, 4), min_size=1),
    locked=st.booleans(),
    faults=st.integers(0, 2),
    seed=st.integers(),
    name=st.sampled_from(sorted(SCHEDULERS)),
)
def test_whatever_the_program_a_scheduler_decides_soundly_and_repeatably(steps, locked, faults, seed, name):
    program = Program(steps, locked, faults)
    first = decisions(lambda: make_scheduler(name, seed), program, 3)
    assert decisions(lambda: make_scheduler(name, seed), program, 3) == first
