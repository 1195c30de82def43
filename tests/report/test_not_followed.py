"""What the history could not follow is named where an anomaly may hide behind it."""

from __future__ import annotations

from dataclasses import dataclass

from helpers.kit import Account, Bank, Order
from sqlalchemy import func, insert, select, text

from lab import actor, invariant
from lab.report.failure import execution_report

HIDDEN = "SELECT pg_sleep(0), id FROM account WHERE balance = 7"


@dataclass(frozen=True)
class Hidden(Bank):
    """A write skew behind a read that the lab does not repeat."""

    @actor(names=("alice", "bob"))
    async def work(self, session, name) -> None:
        if not (await session.execute(text(HIDDEN))).all():
            await session.execute(insert(Account).values(id=11 if name == "bob" else 12, balance=7))
        await session.commit()

    @invariant
    async def one_row(self, session) -> None:
        assert await session.scalar(select(func.count()).where(Account.balance == 7)) == 1


async def test_a_read_that_was_not_followed_is_named_where_no_anomaly_was_found(explorer):
    record = await explorer.run(Hidden(), Order("alice bob"), recorded=True)
    assert record.anomalies == ()
    report = execution_report(record)
    assert report.startswith("INVARIANT BROKEN")
    assert f"reads that were not followed, so that what they looked at is not known:\n    {HIDDEN}" in report
