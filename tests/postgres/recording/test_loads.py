"""What a returned ORM object had loaded counts, also when its transaction ended before the actor returned it."""

from __future__ import annotations

from typing import ClassVar

import pytest
from helpers.kit import Account, Bank
from sqlalchemy import update

from lab import actor
from lab.schedulers import make_scheduler


class ReturnsAccounts(Bank):
    """Bob returns two accounts that alice changes together; whether one statement reads both differs by variant."""

    session_options: ClassVar = {"expire_on_commit": True}

    @actor
    async def alice(self, session) -> None:
        await session.execute(update(Account).values(balance=7))
        await session.commit()

    @actor
    async def bob(self, session) -> list[Account]:
        found = await self.read(session)
        await self.end(session)
        return found

    async def read(self, session) -> list[Account]:
        return [await session.get(Account, 1), await session.get(Account, 2)]

    async def end(self, session) -> None:
        await session.rollback()


class AfterCommit(ReturnsAccounts):
    async def end(self, session) -> None:
        await session.commit()


class OneSnapshot(ReturnsAccounts):
    isolation = "REPEATABLE READ"


async def _findings(explorer, scenario) -> set[str]:
    scheduler, found = make_scheduler("random", 0), set()
    for number in range(20):
        record = await explorer.run(scenario, scheduler, checks=("serial",), execution=number)
        found |= {finding.checker for finding in record.findings}
    return found


@pytest.mark.parametrize("wrong", [ReturnsAccounts, AfterCommit])
async def test_a_skew_in_objects_that_have_expired_is_found(wrong, explorer):
    assert await _findings(explorer, wrong()) == {"serial"}


async def test_objects_of_one_snapshot_pass(explorer):
    assert await _findings(explorer, OneSnapshot()) == set()
