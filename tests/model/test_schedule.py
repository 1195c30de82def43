"""Schedules and traces as values."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
from helpers.decided import decided, offer, step_of
from hypothesis import given
from hypothesis import strategies as st

from lab.model.choices import Choices
from lab.model.decision import Go, Strike
from lab.model.decision_text import choices_digest
from lab.model.schedule import Schedule
from lab.model.trace import Action, ActionKind, LockWait, Result, Step, Trace

POINT = Action(ActionKind.POINT, "x")
NAMES = st.lists(st.sampled_from(["alice", "bob", "alice/1", "carol"]), max_size=30)


def step(number: int, actor: str, *alternatives: str, **more) -> Step:
    return step_of(number, actor, alternatives or (actor,), POINT, **more)


def trace_of(names) -> Trace:
    return Trace(tuple(step(number, name, "alice", "alice/1", "bob", "carol") for number, name in enumerate(names, 1)))


@given(NAMES)
def test_a_schedule_is_who_took_each_step(names):
    schedule = Schedule.of(trace_of(names))
    assert list(schedule) == list(map(Go, names))
    assert len(schedule) == len(names)


@given(NAMES)
def test_runs_are_maximal_and_hold_everything(names):
    runs = Schedule(decided(names)).runs
    assert [each.actor for each, length in runs for _ in range(length)] == names
    assert all(one[0] != other[0] for one, other in pairwise(runs))


def test_the_digest_of_the_choices_changes_with_any_alternative_and_their_order():
    base = [("alice", "bob"), ("bob",)]
    digests = {
        choices_digest(map(decided, each))
        for each in (base, [("bob", "alice"), ("bob",)], base[:1], [("alice", "bob"), ("alice",)], [], [("alice bob",)])
    }
    assert len(digests) == 5, "all but the last two, of which the names are joined alike, differ"
    assert all(len(digest) == 5 for digest in digests)


def test_values_cannot_be_changed():
    for value in (Schedule(), Trace(), POINT, Result(), LockWait(()), step(1, "alice")):
        field = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, "other")


def test_a_step_knows_the_place_of_what_was_chosen_and_that_its_actor_was_runnable():
    assert step(1, "bob", "alice", "bob").index == 1
    with pytest.raises(AssertionError):
        step(1, "carol", "alice", "bob")


def test_a_trace_counts_preemptions_and_all_switches():
    trace = Trace((step(1, "alice"), step(2, "bob", preempted="alice"), step(3, "bob"), step(4, "alice")))
    assert (trace.preemptions, trace.context_switches) == (1, 2)
    assert (Trace().preemptions, Trace().context_switches) == (0, 0)


def test_a_decision_needs_somebody_who_can_go_on():
    with pytest.raises(AssertionError):
        Choices(0, ())
    with pytest.raises(AssertionError):
        Choices(0, (offer("kill@bob", Action(ActionKind.FAULT, "kill")), offer("bob", POINT)))


def test_faults_are_no_actors_among_the_alternatives():
    choices = Choices(0, (offer("bob", POINT), offer("kill@bob", Action(ActionKind.FAULT, "kill"))))
    assert choices.actors == 1
    assert choices.names == ("bob",)
    assert choices.decisions == (Go("bob"), Strike("kill", "bob"))
