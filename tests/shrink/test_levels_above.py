"""What is tried at the levels above a failure does not end the hunt that found it."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.kit import Account, Bank
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor, invariant
from lab.model.outcome import Outcome
from lab.search.hunt import Hunt


@dataclass(frozen=True)
class Answered(Bank):
    """Its invariant looks into what both returned, as one does who has only seen them return."""

    @actor(names=("alice", "bob"))
    async def work(self, session: AsyncSession) -> dict[str, int]:
        account = await session.get_one(Account, 1)
        account.balance -= 60
        await session.commit()
        return {"left": account.balance if account in session.new else 0}

    @invariant
    async def one_of_them_is_told_that_forty_are_left(self, session: AsyncSession, outcome: Outcome) -> None:
        assert all(each.value["left"] == 0 for each in outcome.results.values())
        assert (await session.get_one(Account, 1)).balance == -20


async def test_an_invariant_that_cannot_judge_an_aborted_actor_leaves_the_failure_as_it_was_found(explorer):
    """At REPEATABLE READ one of them returns nothing: what is known of the failure is reported, and the hunt ends."""
    result = await Hunt.of(Answered(), executions=20).run(explorer)
    assert (result.verdict, result.trouble) == ("fail", "")
    (failure,) = result.failures
    assert failure.anomaly == "P4"
    assert "at REPEATABLE READ" not in failure.report
