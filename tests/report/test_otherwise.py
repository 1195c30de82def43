"""A replay that ends otherwise than its token says so, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from helpers.kit import Bank, Order, add
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor, invariant
from lab.model.record import DeadlockEdge, Finding
from lab.model.replay_token import decode, encode, token_of
from lab.model.token_verdict import verdict_of
from lab.report.failure import execution_report
from lab.report.otherwise import otherwise, title


@dataclass(frozen=True)
class LastWins(Bank):
    """Wrong: both read first."""

    broken: bool = True

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> None:
        await session.execute(add(1))
        await session.commit()

    @invariant
    async def it_is_right(self) -> None:
        assert not self.broken

    @invariant
    async def nobody_objects(self) -> None:
        assert not self.broken


@pytest.fixture(scope="module")
async def record(explorer):
    return await explorer.run(LastWins(), Order("alice alice bob bob"))


def test_a_token_carries_the_verdict_that_it_had(record):
    token = decode(encode(token_of(record, "")))
    assert token.verdict == verdict_of(record)
    assert (token.verdict.checker, title(token.verdict)) == ("invariant", "INVARIANT BROKEN")
    assert otherwise(token.verdict, record) == ""


def test_a_token_of_a_deadlock_has_the_headline_of_its_report(record):
    """Where an invariant broke, and no anomaly explains it. One that does is the better headline."""
    edge = DeadlockEdge("alice", "bob", "ShareLock", "transaction")
    refused = replace(record, deadlocks=((edge,),))
    token = decode(encode(token_of(refused, "")))
    assert f"\n{title(token.verdict)}  " in execution_report(refused)
    assert title(token.verdict) == "DEADLOCK"
    assert title(verdict_of(replace(refused, anomalies=("P4",)))) == "LOST UPDATE"


def test_a_replay_that_passes_says_what_the_token_was_of(record):
    said = otherwise(verdict_of(record), replace(record, findings=()))
    assert said.startswith("the token was of INVARIANT BROKEN; this replay passed: the bug is fixed here, or ")


def test_a_replay_that_breaks_something_else_says_what(record):
    lost = replace(verdict_of(replace(record, anomalies=("P4",))), digest="aaaa")
    assert otherwise(lost, record) == (
        'the token was of LOST UPDATE; this replay broke something else: INVARIANT BROKEN, "it is right" does not hold'
    )


def test_a_replay_without_the_check_that_found_it_says_so(record):
    found = verdict_of(replace(record, findings=(Finding("serial", "some order", "…"),)))
    passed = replace(record, findings=())
    without = "the token was of NOT SERIALIZABLE, which only --check serial finds; this replay was made without it"
    assert otherwise(found, passed) == without
    assert otherwise(found, passed, ("serial",)).startswith("the token was of NOT SERIALIZABLE; this replay passed: ")


def test_a_token_of_a_checker_that_is_not_there_is_named_by_its_own_word(record):
    foreign = verdict_of(replace(record, findings=(Finding("no_such-check", "it holds", "…"),)))
    assert decode(encode(replace(token_of(record, ""), verdict=foreign))).verdict == foreign
    assert title(foreign) == "NO SUCH-CHECK"


def test_an_old_token_and_one_that_was_not_run_say_nothing(record):
    assert otherwise(None, record) == otherwise(verdict_of(record), None) == ""
