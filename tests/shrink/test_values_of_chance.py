"""A value that differs in each run keeps a failure from replaying identically, and not from being named."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Integer, MetaData, Table, Text, func, insert, select, update

from lab import Scenario, actor, invariant
from lab.search.hunt import Hunt
from lab.search.job import Job

METADATA = MetaData()
A = Table(
    "a",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", Integer),
    Column("token", Text),
)


@dataclass(frozen=True)
class Stamped(Scenario):
    """A lost update that leaves a random token in the row."""

    metadata = METADATA

    async def setup(self, session) -> None:
        await session.execute(insert(A).values(id=1, n=0, token="none"))

    @actor(names=("ann", "ben"))
    async def act(self, session) -> None:
        n = await session.scalar(select(A.c.n).where(A.c.id == 1))
        token = func.gen_random_uuid().cast(Text)
        await session.execute(update(A).where(A.c.id == 1).values(n=n + 1, token=token))
        await session.commit()

    @invariant
    async def counted(self, session, outcome) -> None:
        assert await session.scalar(select(A.c.n)) == len(outcome.committed)


async def test_random_text_beside_an_anomaly_does_not_hide_its_name(explorer):
    result = await Hunt(Stamped(), Job.of(Stamped(), executions=20)).run(explorer)
    (failure,) = result.failures
    assert failure.anomaly == "P4"
    assert failure.report.startswith("LOST UPDATE")
