"""Breakpoints as values and as decisions: tokens, counts, chances. No server."""

from __future__ import annotations

import pytest
from helpers.decided import decided, offer, step_of

from lab.model.choices import Choices
from lab.model.decision import Pause
from lab.model.decision_text import choices_digest
from lab.model.schedule import Schedule
from lab.model.schedule_text import schedule_text
from lab.model.trace import Action, ActionKind, LockWait, Step, Trace
from lab.report.sql import step_text
from lab.schedulers.base import FAULT_CHANCE
from lab.schedulers.drawn import _weights
from lab.schedulers.random_walk import RandomWalk
from lab.shrink.minimise import _size

UPDATE = Action(ActionKind.STATEMENT, "UPDATE account SET balance = 0")
TEXTS = ("alice", "bob", "pause2@alice")
ALTERNATIVES = tuple(offer(each, UPDATE) for each in TEXTS)


def test_breakpoints_that_were_only_offered_do_not_change_a_token():
    """Tokens of before there were breakpoints stay valid; those that could have been set are no part of the digest."""
    offered, without = decided(TEXTS), [decided("alice bob"), decided("bob")]
    assert choices_digest([offered, decided("bob")]) == choices_digest(without)
    assert choices_digest([(*offered, *decided("kill@alice"))]) == choices_digest([offered]), "nor are faults"


def test_a_breakpoint_reads_plainly_in_a_token():
    assert schedule_text(Schedule(decided("pause2@alice bob alice"))) == "pause2@alice.bob.alice"


def paused(wait: LockWait | None) -> Step:
    return step_of(1, "pause2@alice", TEXTS, UPDATE, wait=wait)


def test_the_step_of_a_breakpoint_is_its_actors():
    step = paused(LockWait(("a breakpoint",), target="after row id=1, before row id=2 of account"))
    trace = Trace((step, step_of(2, "alice", ("alice", "bob"), UPDATE, woken=True)), ("alice", "bob"))
    assert (step.actor, step.chosen, step.index) == ("alice", Pause("alice", 2), 2)
    assert (trace.breakpoints, trace.faults, trace.preemptions, trace.context_switches) == (1, 0, 0, 0)
    assert Schedule.of(trace).decisions == decided("pause2@alice alice")


def test_the_report_says_where_a_statement_paused_and_nothing_where_it_did_not():
    wait = LockWait(("a breakpoint",), target="after row id=1, before row id=2 of account")
    assert step_text(paused(wait)).endswith("<paused after row id=1, before row id=2 of account>")
    assert step_text(paused(None)) == "UPDATE account SET balance = 0"


def test_breakpoints_are_no_actors_among_the_alternatives():
    assert Choices(0, ALTERNATIVES).actors == 2
    with pytest.raises(AssertionError):
        Choices(0, (ALTERNATIVES[2], ALTERNATIVES[0]))


def test_a_random_walk_sets_breakpoints_as_seldom_as_faults():
    """2,000 draws at 0.15: mean 300, standard deviation 16; the bounds are five of those away."""
    walk = RandomWalk(0)
    walk.begin(0)
    met = sum(walk.choose(Choices(0, ALTERNATIVES)) == 2 for _ in range(2000))
    assert 220 < met < 380


def test_drawn_schedules_set_breakpoints_as_seldom_as_faults():
    weights = _weights(Choices(0, ALTERNATIVES))
    assert weights is not None
    assert weights[2] == pytest.approx(0.99 * FAULT_CHANCE)
    assert weights[0] == weights[1] == pytest.approx(0.99 * (1 - FAULT_CHANCE) / 2)


def test_an_execution_with_a_breakpoint_is_larger_than_one_with_more_preemptions():
    """As with faults: what only the lab can bring about is dropped before what the scheduling of requests brings."""
    preempted = step_of(2, "bob", ("alice", "bob"), UPDATE, preempted="alice")
    without = Trace((step_of(1, "alice", TEXTS, UPDATE), preempted, preempted))
    assert _size(without) < _size(Trace((paused(None),)))
