"""Programs of which no cause is to be named: some are right, some fail for what no rule knows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from programs import (
    Account,
    Check,
    Child,
    Job,
    Member,
    Parent,
    Tag,
    Work,
    anything,
    at_most,
    balance_is,
    execute,
    nobody_is_refused,
    scenario,
)
from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, IntegrityError

from lab import Scenario

RIGHT: dict[str, Scenario] = {}
UNRELATED: dict[str, Scenario] = {}
"""These fail."""


def right(check: Check = anything, **more: Any) -> Callable[[Work], Work]:
    def mark(work: Work) -> Work:
        RIGHT[work.__name__] = scenario(work, check, **more)
        return work

    return mark


def unrelated(check: Check = anything, **more: Any) -> Callable[[Work], Work]:
    def mark(work: Work) -> Work:
        UNRELATED[work.__name__] = scenario(work, check, **more)
        return work

    return mark


def other(name: str) -> int:
    return 1 if name == "ann" else 2


# ---------------------------------------------------------------------- right


@right(balance_is(80))
async def locks_first_orm(session, name):
    account = await session.get_one(Account, 1, with_for_update=True)
    account.balance -= 10
    await session.commit()


@right(balance_is(80))
async def locks_first_text(session, name):
    balance = (await execute(session, "SELECT balance FROM account WHERE id = 1 FOR UPDATE")).scalar_one()
    await execute(session, f"UPDATE account SET balance = {balance - 10} WHERE id = 1")
    await session.commit()


@right(balance_is(80))
async def atomic_core(session, name):
    await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance - 10))
    await session.commit()


@right(balance_is(80))
async def atomic_text(session, name):
    await execute(session, "UPDATE account SET balance = balance - 10 WHERE id = 1")
    await session.commit()


@right()
async def conditional_update(session, name):
    await session.get(Account, 1)
    enough = Account.id == 1, Account.balance >= 10
    await session.execute(update(Account).where(*enough).values(balance=Account.balance - 10))
    await session.commit()


@right()
async def conditional_update_in_text(session, name):
    await execute(session, "SELECT balance FROM account WHERE id = 1")
    await execute(session, "UPDATE account SET balance = balance - 10 WHERE id = 1 AND balance >= 10")
    await session.commit()


@right(balance_is(80))
async def compare_and_set(session, name):
    while True:
        balance = await session.scalar(select(Account.balance).where(Account.id == 1))
        same = Account.id == 1, Account.balance == balance
        done = await session.execute(update(Account).where(*same).values(balance=balance - 10))
        await session.commit()
        if done.rowcount:
            return


@right(balance_is(80), level="REPEATABLE READ")
async def retry_with_fresh_objects(session, name):
    while True:
        try:
            account = await session.get_one(Account, 1)
            account.balance -= 10
            return await session.commit()
        except DBAPIError:
            await session.rollback()


@right(balance_is(80), level="SERIALIZABLE")
async def retry_in_text(session, name):
    while True:
        try:
            balance = (await execute(session, "SELECT balance FROM account WHERE id = 1")).scalar_one()
            await execute(session, f"UPDATE account SET balance = {balance - 10} WHERE id = 1")
            return await session.commit()
        except DBAPIError:
            await session.rollback()


@right(at_most(1, Member))
async def on_conflict(session, name):
    if await session.scalar(select(Member).where(Member.name == "kim")) is None:
        await session.execute(postgresql.insert(Member).values(name="kim").on_conflict_do_nothing())
    await session.commit()


@right(at_most(1, Member))
async def savepoint_and_look_again(session, name):
    kim = select(Member.id).where(Member.name == "kim")
    if await session.scalar(kim) is None:
        try:
            async with session.begin_nested():
                session.add(Member(name="kim"))
        except IntegrityError:
            await session.scalar(kim)
    await session.commit()


@right(at_most(1, Tag))
async def lock_the_parent(session, name):
    await session.execute(select(Parent).where(Parent.id == 1).with_for_update())
    if await session.scalar(select(Tag).where(Tag.name == "new")) is None:
        session.add(Tag(name="new"))
    await session.commit()


@right(at_most(1, Tag))
async def advisory_to_the_commit(session, name):
    await execute(session, "SELECT pg_advisory_xact_lock(7)")
    if not (await execute(session, "SELECT id FROM tag WHERE name = 'new'")).all():
        await execute(session, "INSERT INTO tag (name) VALUES ('new')")
    await session.commit()


@right(at_most(1, Tag))
async def advisory_released_after(session, name):
    await execute(session, "SELECT pg_advisory_lock(7)")
    if not (await execute(session, "SELECT id FROM tag WHERE name = 'new'")).all():
        await execute(session, "INSERT INTO tag (name) VALUES ('new')")
    await session.commit()
    await execute(session, "SELECT pg_advisory_unlock(7)")
    await session.commit()


@right(nobody_is_refused)
async def one_order(session, name):
    for number in (1, 2):
        await session.execute(update(Account).where(Account.id == number).values(balance=Account.balance - 1))
    await session.commit()


@right()
async def skip_locked(session, name):
    free = select(Job).where(Job.state == "new").order_by(Job.id).limit(1).with_for_update(skip_locked=True)
    job = await session.scalar(free)
    if job is not None:
        job.state, job.runs = "taken", job.runs + 1
    await session.commit()


@right()
async def skip_locked_inside(session, name):
    inner = "SELECT id FROM job WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
    await execute(session, f"UPDATE job SET state = 'taken', runs = runs + 1 WHERE id = ({inner})")
    await session.commit()


@right(level="SERIALIZABLE")
async def skew_is_refused(session, name):
    with contextlib.suppress(DBAPIError):
        if await session.scalar(select(func.sum(Account.balance))) == 200:
            await session.execute(update(Account).where(Account.id == other(name)).values(balance=0))
        await session.commit()


@right(names=("ann", "reader"))
async def one_select(session, name):
    if name == "reader":
        return await session.scalar(select(func.sum(Account.balance)))
    for account, amount in ((1, -10), (2, 10)):
        await session.execute(update(Account).where(Account.id == account).values(balance=Account.balance + amount))
    await session.commit()
    return None


@right(names=("ann", "reader"), level="REPEATABLE READ")
async def two_selects_of_one_snapshot(session, name):
    if name == "reader":
        one = await session.scalar(select(Account.balance).where(Account.id == 1))
        return one + await session.scalar(select(Account.balance).where(Account.id == 2))
    for account, amount in ((1, -10), (2, 10)):
        await session.execute(update(Account).where(Account.id == account).values(balance=Account.balance + amount))
    await session.commit()
    return None


@right(names=("sender", "worker"))
async def listens_and_looks_again(session, name):
    if name == "sender":
        await execute(session, "UPDATE job SET state = 'ready' WHERE id = 1", "NOTIFY jobs")
        await session.commit()
    else:
        await execute(session, "LISTEN jobs")
        await session.commit()
        await execute(session, "SELECT id FROM job WHERE state = 'ready'")


@right()
async def foreign_key_does_it(session, name):
    with contextlib.suppress(DBAPIError):
        gone = delete(Parent).where(Parent.id == 1)
        await session.execute(insert(Child).values(parent_id=1) if name == "ann" else gone)
        await session.commit()


# ---------------------------------------------------------------------- fail, and not by what a rule knows


@unrelated(balance_is(79))
async def wrong_number(session, name):
    await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance - 10))
    await session.commit()


@unrelated(balance_is(79))
async def wrong_number_beside_a_lost_update(session, name):
    account = await session.get_one(Account, 1)
    account.balance -= 10
    await session.commit()


@unrelated(balance_is(79))
async def wrong_number_in_text(session, name):
    balance = (await execute(session, "SELECT balance FROM account WHERE id = 1")).scalar_one()
    await execute(session, f"UPDATE account SET balance = {balance - 10} WHERE id = 1")
    await session.commit()


@unrelated(at_most(1, Tag))
async def forgot_to_look(session, name):
    session.add(Tag(name=name))
    await session.commit()


@unrelated(at_most(0, Tag))
async def wrong_limit(session, name):
    if not await session.scalar(select(exists().where(Tag.name == "new"))):
        session.add(Tag(name="new"))
    await session.commit()


@unrelated(balance_is(80))
async def forgot_to_commit(session, name):
    await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance - 10))


@unrelated(balance_is(80))
async def wrong_row(session, name):
    account = await session.get_one(Account, other(name))
    account.balance -= 10
    await session.commit()


@unrelated(balance_is(0, account=2))
async def reads_what_it_wrote(session, name):
    account = await session.get_one(Account, 1, with_for_update=True)
    account.balance = 0
    await session.commit()
    await session.refresh(account)


@unrelated()
async def same_key_core(session, name):
    await session.execute(insert(Account).values(id=7, balance=1))
    await session.commit()


@unrelated()
async def same_key_orm(session, name):
    session.add(Member(name="kim"))
    await session.commit()


@unrelated()
async def same_key_text(session, name):
    await execute(session, "INSERT INTO member (name) VALUES ('kim')")
    await session.commit()


@unrelated()
async def looked_for_another_key(session, name):
    await session.scalar(select(Member).where(Member.name == "lee"))
    await session.execute(insert(Member).values(name="kim"))
    await session.commit()


@unrelated()
async def looked_for_another_key_that_comes_too(session, name):
    if name == "ben":
        await session.execute(insert(Member), [{"name": "lee"}, {"name": "kim"}])
    elif await session.scalar(select(Member).where(Member.name == "lee")) is None:
        await session.execute(insert(Member).values(name="kim"))
    await session.commit()


@unrelated()
async def looked_for_what_no_row_is(session, name):
    await session.scalar(select(Member).where(Member.name == "kim", Member.id.is_(None)))
    await session.execute(insert(Member).values(name="kim"))
    await session.commit()


@unrelated()
async def fails_after_it_handled_the_duplicate(session, name):
    kim = select(Member.id).where(Member.name == "kim")
    if await session.scalar(kim) is None:
        try:
            async with session.begin_nested():
                session.add(Member(name="kim"))
        except IntegrityError:
            await session.scalar(kim)
            raise RuntimeError("a bug of its own") from None
    await session.commit()


@unrelated()
async def looked_in_another_table(session, name):
    await session.scalar(select(Tag).where(Tag.name == "kim"))
    await session.execute(insert(Member).values(name="kim"))
    await session.commit()


@unrelated()
async def twice_by_itself(session, name):
    if await session.scalar(select(Member).where(Member.name == name)) is None:
        await session.execute(insert(Member), [{"name": name}, {"name": name}])
    await session.commit()


@unrelated()
async def no_such_parent(session, name):
    await session.get(Parent, 9)
    await session.execute(insert(Child).values(parent_id=9))
    await session.commit()


@unrelated()
async def parent_has_children(session, name):
    await session.execute(insert(Child).values(parent_id=other(name)))
    await session.execute(delete(Parent).where(Parent.id == other(name)))
    await session.commit()


@unrelated(nobody_is_refused)
async def nowait(session, name):
    await session.execute(select(Account).where(Account.id == 1).with_for_update(nowait=True))
    await session.commit()


@unrelated(nobody_is_refused)
async def nowait_in_text(session, name):
    await execute(session, "SELECT balance FROM account WHERE id = 1 FOR UPDATE NOWAIT")
    await session.commit()


@unrelated(nobody_is_refused, level="REPEATABLE READ")
async def no_retry(session, name):
    account = await session.get_one(Account, 1)
    account.balance -= 10
    await session.commit()


@unrelated(nobody_is_refused, level="SERIALIZABLE")
async def no_retry_of_a_skew(session, name):
    if await session.scalar(select(func.sum(Account.balance))) == 200:
        await session.execute(update(Account).where(Account.id == other(name)).values(balance=0))
    await session.commit()


@unrelated()
async def application_error(session, name):
    account = await session.get_one(Account, 1)
    raise ValueError(f"{name} does not like {account.balance}")


@unrelated()
async def application_error_after_a_change(session, name):
    account = await session.get_one(Account, 1)
    account.balance -= 60
    await session.commit()
    if account.balance < 0:
        raise RuntimeError("overdrawn")


@unrelated()
async def error_when_somebody_was_first(session, name):
    account = await session.get_one(Account, 1)
    if account.balance != 100:
        raise RuntimeError("somebody was here")
    account.balance -= 10
    await session.commit()


@unrelated()
async def optimistic_error(session, name):
    balance = await session.scalar(select(Account.balance).where(Account.id == 1))
    same = Account.id == 1, Account.balance == balance
    done = await session.execute(update(Account).where(*same).values(balance=balance - 10))
    if not done.rowcount:
        raise RuntimeError("conflict")
    await session.commit()


@unrelated()
async def no_such_row(session, name):
    await session.get_one(Account, 9)


@unrelated()
async def no_such_table(session, name):
    await execute(session, "SELECT * FROM nowhere")


@unrelated()
async def division_by_zero(session, name):
    await execute(session, "UPDATE account SET balance = 1 / (balance - 100) WHERE id = 1")


@unrelated()
async def not_null(session, name):
    await execute(session, "INSERT INTO tag (name) VALUES (NULL)")


@unrelated()
async def timeout_of_the_client(session, name):
    await session.get_one(Account, 1)
    async with asyncio.timeout(1):
        await asyncio.Event().wait()


async def _ben_found_nothing(session, outcome):
    assert outcome.results["ben"].value == [], "ben found something"


@unrelated(_ben_found_nothing)
async def wrong_order_is_expected(session, name):
    if name == "ben":
        return (await session.scalars(select(Tag.name))).all()
    session.add(Tag(name="new"))
    return await session.commit()


async def _nobody_saw_the_middle(session, outcome):
    assert outcome.results["ben"].value in (0, 2), f"ben counted {outcome.results['ben'].value}"


@unrelated(_nobody_saw_the_middle, names=("ann", "cleo", "ben"))
async def independent_requests_are_counted(session, name):
    if name == "ben":
        return await session.scalar(select(func.count()).select_from(Tag))
    session.add(Tag(name=name))
    return await session.commit()


@unrelated(_ben_found_nothing)
async def wrong_order_in_text(session, name):
    if name == "ben":
        return (await execute(session, "SELECT name FROM tag")).scalars().all()
    await execute(session, "INSERT INTO tag (name) VALUES ('new')")
    return await session.commit()


async def _both_are_stored(session, outcome):
    stored = await session.scalar(select(func.count()).select_from(Member))
    assert stored == 2, f"{stored} members are stored"


@unrelated(_both_are_stored)
async def duplicates_are_skipped(session, name):
    await session.execute(postgresql.insert(Member).values(name="kim").on_conflict_do_nothing())
    await session.commit()


@unrelated(_both_are_stored)
async def counted_though_rolled_back(session, name):
    await session.scalar(select(Member).where(Member.name == "kim"))
    with contextlib.suppress(IntegrityError):
        async with session.begin_nested():
            await session.execute(insert(Member).values(name="kim"))
    await session.commit()
