"""The versions that a history tells, against what PostgreSQL itself says of each row: the transaction that made it.

Random programs in which every SELECT also asks for `xmin`, which the recording does not use. Values are few, so that
most versions of a row look alike and only the snapshot tells them apart. That no level's promise is broken in any of
these executions is the other half: a version that was told wrongly shows as an anomaly that PostgreSQL prevents.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from helpers.kit import Account, Bank
from sqlalchemy import delete, func, insert, literal_column, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor
from lab.model.history import Read, Write
from lab.scenario.declare import ISOLATION_LEVELS
from lab.schedulers import make_scheduler

XMIN = literal_column("account.xmin::text")
ACTORS = ("ann", "ben", "cat")


async def read_one(session, chance):
    await session.execute(select(Account.id, Account.balance, XMIN).where(Account.id == chance.randint(1, 5)))


async def read_some(session, chance):
    rich = Account.balance > chance.randint(0, 2)
    await session.execute(select(Account.id, Account.balance, XMIN).where(rich).order_by(Account.id))


async def lock_some(session, chance):
    wanted = Account.id.in_(chance.sample(range(1, 6), 2))
    await session.execute(
        select(Account.id, Account.balance, XMIN).where(wanted).order_by(Account.id).with_for_update()
    )


async def add_up(session, chance):
    """The answer holds no row; the makers of all rows that were added up come with it."""
    makers = func.array_agg(aggregate_order_by(XMIN, Account.id))
    numbers = func.array_agg(aggregate_order_by(Account.id, Account.id))
    await session.execute(select(func.sum(Account.balance), numbers, makers).where(Account.balance >= 0))


async def write_one(session, chance):
    row = Account.id == chance.randint(1, 5)
    await session.execute(update(Account).where(row).values(balance=chance.randint(1, 2)))


async def write_some(session, chance):
    below = Account.balance < chance.randint(1, 3)
    await session.execute(update(Account).where(below).values(balance=3 - Account.balance))


async def remove(session, chance):
    await session.execute(delete(Account).where(Account.id == chance.randint(3, 5)))


async def again(session, chance):
    async with session.begin_nested() as point:
        await session.execute(insert(Account).values(id=chance.randint(4, 6), balance=1))
        if chance.random() < 0.3:
            await point.rollback()


OPERATIONS = (read_one, read_some, lock_some, add_up, write_one, write_some, remove, again)


@dataclass(frozen=True)
class Program(Bank):
    """Three actors of up to five statements, drawn from the seed."""

    seed: int = 0
    allows = ("23505",)

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Account(id=number, balance=1) for number in range(1, 6)])

    @actor(names=ACTORS)
    async def runs(self, session: AsyncSession, name: str) -> None:
        chance = random.Random(f"{self.seed} {name}")
        await session.execute(select(func.pg_current_xact_id()))
        for _ in range(chance.randint(2, 5)):
            await chance.choice(OPERATIONS)(session, chance)
        await session.commit()


@pytest.mark.parametrize(("programs", "executions"), [(8, 3), pytest.param(12, 6, marks=pytest.mark.long)])
@pytest.mark.parametrize("level", ISOLATION_LEVELS)
async def test_every_read_is_of_the_version_that_postgresql_says_and_no_promise_is_broken(
    plain, level, programs, executions
):
    reads, equal = 0, 0
    for program in range(programs):
        scheduler = make_scheduler("random", program)
        for number in range(executions):
            record = await plain.run(Program(program), scheduler, execution=number, isolation=level, recorded=True)
            checked, looked_alike = compared(record)
            assert not record.findings, (program, number, record.findings, str(record.schedule))
            assert record.unseen == ()
            reads += checked
            equal += looked_alike
    assert reads > 5 * programs * executions
    assert equal > programs * executions / 2


def compared(record) -> tuple[int, int]:
    """The number of reads that were compared, and of those whose values would have fitted another version as well."""
    results = {step.number: step.result for step in record.trace if step.result is not None}
    xids = {
        step.actor: int(step.result.rows[0][0])
        for step in record.trace
        if step.result and "xact_id" in step.action.text
    }
    actors = {each.id: each.actor for each in record.history.transactions}
    checked = alike = 0
    for transaction in record.history.transactions:
        for read in transaction.operations:
            if isinstance(read, Read) and not read.absent and (makers := told(results[read.step])) is not None:
                key = " ".join(read.item.removeprefix("new ").split()[:2])
                maker, writer = makers[key], actors.get(read.version.writer)
                if maker is None:
                    continue
                checked += 1
                # What was written within a savepoint has a number of its own, above that of its transaction.
                right = maker == xids[writer] or maker not in xids.values() if writer in xids else True
                initial = maker < min(xids.values(), default=maker + 1)
                assert right, (transaction.actor, read, str(record.schedule))
                assert initial == (writer is None), (transaction.actor, read, str(record.schedule))
                alike += texts(record.history, read.item).count(read.text) > 1
    return checked, alike


def texts(history, item: str) -> list[str]:
    """What stood in all versions of a row."""
    operations = [operation for each in history.transactions for operation in each.operations]
    return ["1"] + [each.text for each in operations if isinstance(each, Write) and each.item == item]


def told(result) -> dict[str, int | None] | None:
    """Who made each row of an answer, by PostgreSQL's word; None for an answer, or a row, that does not say for sure.

    A snapshot can show two rows of one key: a deleted one, and what the transaction itself put in its place.
    """
    if len(result.columns) != 3:
        return None
    pairs = [(row[0], row[2].strip("'")) for row in result.rows]
    if result.columns[0] != "id":
        _, numbers, makers = result.rows[0]
        if numbers == "None":
            return {}
        listed = zip(numbers.strip("[]").split(", "), makers.strip("[]").split(", "), strict=True)
        pairs = [(number, maker.strip("'")) for number, maker in listed]
    found: dict[str, int | None] = {}
    for number, maker in pairs:
        found[f"account {number}"] = None if f"account {number}" in found else int(maker)
    return found
