"""Decisions are told apart by their type; their text is read again whatever the names are."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from helpers.decided import decided
from hypothesis import example, given
from hypothesis import strategies as st

from lab.errors import TokenError
from lab.model.decision import SERVER, Go, Pause, Strike
from lab.model.decision_text import choices_digest, decision_of, decision_text
from lab.model.replay_token import decode, encode, scenario_of, token_for
from lab.model.schedule import Schedule
from lab.model.schedule_text import decisions_of, schedule_text
from lab.scenario.declare import Scenario, actor

NAMES = st.text() | st.text("@ak2", max_size=8) | st.from_regex(r"@{0,3}(kill|pause2|pause)@(alice|kill@bob)?")
DECISIONS = st.one_of(
    st.builds(Go, NAMES),
    st.builds(Pause, NAMES.filter(bool), st.integers(1, 999_999_999)),
    st.builds(Strike, st.sampled_from(["kill", "cancel", "crash", "meteor_shower"]), NAMES),
)


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (Go("alice"), "alice"),
        (Go("alice/1"), "alice/1"),
        (Pause("alice", 12), "pause12@alice"),
        (Pause("a@b", 2), "pause2@a@b"),
        (Strike("kill", "alice"), "kill@alice"),
        (Strike("crash", SERVER), "crash@server"),
        (Go("kill@alice"), "@kill@alice"),
        (Go("pause2@alice"), "@pause2@alice"),
        (Go("@kill@alice"), "@@kill@alice"),
        (Go("Ann@1"), "Ann@1"),
    ],
)
def test_a_decision_reads_like_this(decision, text):
    """The format is a promise to tokens that are already in issues and CI logs; a quote marks an actor's odd name."""
    assert decision_text(decision) == text
    assert decision_of(text) == decision


@given(DECISIONS)
@example(Go("@@kill@@"))
def test_every_decision_is_read_again_from_its_text(decision):
    assert decision_of(decision_text(decision)) == decision


@given(st.lists(DECISIONS, max_size=60))
def test_a_token_carries_every_decision(decisions):
    """Readable when short, packed when long."""
    assert list(decisions_of(schedule_text(Schedule(tuple(decisions))))) == decisions


def test_a_decision_is_a_value():
    """It can be kept in sets and sorted among its kind, and not be changed."""
    assert len({Go("alice"), Go("alice"), Pause("alice", 1), Strike("kill", "alice")}) == 3
    assert sorted([Go("bob"), Go("alice")]) == [Go("alice"), Go("bob")]
    with pytest.raises(FrozenInstanceError):
        Go("alice").actor = "bob"  # type: ignore[misc]


class Odd(Scenario):
    """Two actors, one of which has the name of a fault that strikes the other."""

    faults = ("kill",)

    @actor(names=("alice", "kill@alice"))
    async def work(self) -> None:
        pass


def test_an_actor_may_be_named_like_a_fault():
    """Its token says which of the two is meant, and so does the digest of the choices."""
    decisions = (Go("alice"), Go("kill@alice"), Strike("kill", "alice"), Strike("kill", "kill@alice"))
    text = encode(token_for(Odd(), Schedule(decisions, "abcde"), ""))
    assert ":alice.@kill@alice.kill@alice.kill@kill@alice:" in text
    assert decode(text).schedule.decisions == decisions
    assert scenario_of(decode(text), Odd) == Odd()
    assert choices_digest([(Go("kill@alice"),)]) != choices_digest([(Strike("kill", "alice"),)])


@pytest.mark.parametrize("more", [1, 40])
def test_an_actor_named_like_a_fault_is_packed_too(more):
    decisions = (Go("kill@alice"), Strike("kill", "alice"), Go("bob")) * more
    assert decisions_of(schedule_text(Schedule(decisions))) == decisions


def test_the_token_of_an_actor_that_is_gone_is_refused_although_a_fault_has_its_name():
    class Plain(Odd):
        actors = None

        work = None

        @actor(names=("alice", "bob"))
        async def other(self) -> None:
            pass

    with pytest.raises(TokenError, match="has no actor '@kill@alice'"):
        scenario_of(token_for(Plain(), Schedule(decided("@kill@alice")), ""), Plain)
