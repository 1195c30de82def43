"""Circles among actors that cannot go on."""

from __future__ import annotations

from lab.model.stall import Holder, Stall, Want, circle_of
from lab.model.stall_text import circle_text
from lab.model.trace import LockWait


def _stall(actor: str, *holders: str) -> Stall:
    return Stall(actor, "app.py:1: x", wants=Want("asyncio.Lock", holders=tuple(map(Holder, holders))))


def test_a_circle_of_locks_and_rows_is_told_in_order():
    ring = (_stall("alice", "bob"), Stall("bob", "UPDATE", LockWait(("carol",))), _stall("carol", "alice"))
    assert circle_of(ring) == ("alice", "bob", "carol")
    assert circle_text(ring) == "alice waits for bob, who waits for carol, who waits for alice"


def test_a_session_that_a_task_opened_which_has_ended_is_its_root_actors():
    assert circle_of((Stall("bob", "UPDATE", LockWait(("alice/1",))), _stall("alice", "bob"))) == ("bob", "alice")


def test_that_an_actor_waits_for_itself_is_said_only_where_there_is_no_other_circle():
    assert circle_of((_stall("alice", "alice", "bob"), _stall("bob", "alice"))) == ("alice", "bob")
    assert circle_text((_stall("alice", "alice"),)) == "alice waits for itself"


def test_a_chain_is_no_circle():
    assert circle_text((_stall("alice", "bob"), _stall("bob", "carol"))) == ""
