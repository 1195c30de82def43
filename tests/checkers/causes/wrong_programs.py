"""Programs that are wrong in a known way, each with the cause that a report is to name."""

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
    no_job_runs_twice,
    nobody_is_refused,
    not_both_empty,
    scenario,
)
from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from lab import Scenario

WRONG: dict[str, tuple[Scenario, str]] = {}
"""The scenario and the name of its cause, by the name of the program."""


def wrong(cause: str, check: Check = anything, **more: Any) -> Callable[[Work], Work]:
    def mark(work: Work) -> Work:
        WRONG[work.__name__] = scenario(work, check, **more), cause
        return work

    return mark


def other(name: str) -> int:
    """The number of an actor's own row: 1 for ann, 2 for ben."""
    return 1 if name == "ann" else 2


# ---------------------------------------------------------------------- one row


@wrong("read-modify-write", balance_is(80))
async def orm_attribute(session, name):
    account = await session.get_one(Account, 1)  # step 1
    account.balance -= 10
    await session.commit()  # steps 2, 3


@wrong("read-modify-write", balance_is(80))
async def core_value(session, name):
    balance = await session.scalar(select(Account.balance).where(Account.id == 1))  # step 1
    await session.execute(update(Account).where(Account.id == 1).values(balance=balance - 10))  # steps 2, 3
    await session.commit()


@wrong("read-modify-write", balance_is(80))
async def text_value(session, name):
    balance = (await execute(session, "SELECT balance FROM account WHERE id = 1")).scalar_one()  # step 1
    await execute(session, "UPDATE account SET balance = :balance WHERE id = 1", balance=balance - 10)  # steps 2, 3
    await session.commit()


@wrong("read-modify-write", balance_is(80))
async def text_value_bound(session, name):
    row = (await execute(session, "SELECT id, balance FROM account WHERE id = :id", id=1)).one()  # step 1
    await execute(session, "UPDATE account SET balance = :new WHERE id = :id", id=1, new=row.balance - 10)  # steps 2, 3
    await session.commit()


@wrong("check-then-update", not_both_empty)
async def core_check(session, name):
    if await session.scalar(select(Account.balance).where(Account.id == 1)) >= 100:  # step 1
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance - 80))  # steps 2, 3
    await session.commit()


@wrong("check-then-update", not_both_empty)
async def text_check(session, name):
    if (await execute(session, "SELECT balance FROM account WHERE id = 1")).scalar_one() >= 100:  # step 1
        await execute(session, "UPDATE account SET balance = balance - 80 WHERE id = 1")  # steps 2, 3
    await session.commit()


@wrong("stale object after a lock", balance_is(80))
async def orm_lock_later(session, name):
    account = await session.get_one(Account, 1)  # step 1
    await session.execute(select(Account).where(Account.id == 1).with_for_update())  # step 3
    account.balance -= 10
    await session.commit()  # steps 2, 4


@wrong("stale object after a lock", balance_is(80))
async def core_lock_later(session, name):
    balance = await session.scalar(select(Account.balance).where(Account.id == 1))  # step 1
    await session.execute(select(Account.id).where(Account.id == 1).with_for_update())  # step 3
    await session.execute(update(Account).where(Account.id == 1).values(balance=balance - 10))  # steps 2, 4
    await session.commit()


@wrong("stale object after a lock", balance_is(80))
async def text_lock_later(session, name):
    balance = (await execute(session, "SELECT balance FROM account WHERE id = 1")).scalar_one()  # step 1
    await execute(session, "SELECT id FROM account WHERE id = 1 FOR UPDATE")  # step 3
    await execute(session, f"UPDATE account SET balance = {balance - 10} WHERE id = 1")  # steps 2, 4
    await session.commit()


@wrong("two transactions where one is meant", balance_is(80))
async def lock_ends_first(session, name):
    balance = await session.scalar(select(Account.balance).where(Account.id == 1).with_for_update())  # step 1
    await session.commit()
    await session.execute(update(Account).where(Account.id == 1).values(balance=balance - 10))  # steps 2, 3
    await session.commit()


@wrong("two transactions where one is meant", not_both_empty)
async def check_in_one(session, name):
    enough = (await execute(session, "SELECT balance FROM account WHERE id = 1")).scalar_one() >= 100  # step 1
    await session.commit()
    if enough:
        await execute(session, "UPDATE account SET balance = balance - 80 WHERE id = 1")  # steps 2, 3
        await session.commit()


async def _auditor_saw_200(session, outcome):
    assert outcome.results["auditor"].value in (200, None)


@wrong("two transactions where one is meant", _auditor_saw_200, names=("ann", "auditor"))
async def half_a_transfer(session, name):
    if name == "auditor":
        return await session.scalar(select(func.sum(Account.balance)))  # step 3
    for account, amount in ((1, -10), (2, 10)):
        changed = update(Account).where(Account.id == account).values(balance=Account.balance + amount)
        await session.execute(changed)  # steps 1, 2
        await session.commit()
    return None


@wrong("retry with stale objects", balance_is(80), level="REPEATABLE READ")
async def retry_by_value(session, name):
    balance = await session.scalar(select(Account.balance).where(Account.id == 1))  # step 1
    while True:
        try:
            await session.execute(update(Account).where(Account.id == 1).values(balance=balance - 10))  # steps 2, 3
            return await session.commit()
        except DBAPIError:
            await session.rollback()


@wrong("retry with stale objects", balance_is(80), level="REPEATABLE READ")
async def retry_in_text(session, name):
    balance = (await execute(session, "SELECT balance FROM account WHERE id = 1")).scalar_one()  # step 1
    for _ in range(3):
        try:
            await execute(session, "UPDATE account SET balance = :new WHERE id = 1", new=balance - 10)  # steps 2, 3
            await session.commit()
        except DBAPIError:
            await session.rollback()
        else:
            return


# ---------------------------------------------------------------------- no row


@wrong("check-then-insert")
async def orm_get_or_create(session, name):
    if await session.scalar(select(Member).where(Member.name == "kim")) is None:  # step 2
        session.add(Member(name="kim"))
    await session.commit()  # steps 1, 3


@wrong("check-then-insert")
async def core_exists(session, name):
    if not await session.scalar(select(exists().where(Member.name == "kim"))):  # step 2
        await session.execute(insert(Member).values(name="kim"))  # steps 1, 3
    await session.commit()


@wrong("check-then-insert")
async def core_count(session, name):
    if not await session.scalar(select(func.count()).select_from(Member).where(Member.name == "kim")):  # step 2
        await session.execute(insert(Member).values(name="kim"))  # steps 1, 3
    await session.commit()


@wrong("check-then-insert")
async def text_get_or_create(session, name):
    if (await execute(session, "SELECT id FROM member WHERE name = :name", name="kim")).first() is None:  # step 1
        await execute(session, "INSERT INTO member (name) VALUES (:name)", name="kim")  # steps 2, 3
    await session.commit()


@wrong("check-then-insert")
async def orm_get_by_key(session, name):
    if await session.get(Account, 7) is None:  # step 2
        session.add(Account(id=7, balance=0))
    await session.commit()  # steps 1, 3


@wrong("check-then-insert", level="REPEATABLE READ")
async def get_or_create_in_a_snapshot(session, name):
    if await session.scalar(select(Member.id).where(Member.name == "kim")) is None:  # step 2
        await session.execute(insert(Member).values(name="kim"))  # steps 1, 3
    await session.commit()


@wrong("check-then-insert", at_most(1, Tag))
async def no_key_orm(session, name):
    if await session.scalar(select(Tag).where(Tag.name == "new")) is None:  # steps 1, 3
        session.add(Tag(name="new"))
    await session.commit()  # steps 2, 4


@wrong("check-then-insert", at_most(1, Tag))
async def no_key_text(session, name):
    if not (await execute(session, "SELECT 1 FROM tag WHERE name = 'new'")).all():  # steps 1, 2
        await execute(session, "INSERT INTO tag (name) VALUES ('new')")  # steps 3, 4
    await session.commit()


@wrong("check-then-insert of a child")
async def parent_is_deleted(session, name):
    if name == "ben":
        with contextlib.suppress(DBAPIError):
            await session.execute(delete(Parent).where(Parent.id == 1))  # step 2
            await session.commit()
    elif await session.get(Parent, 1) is not None:  # step 1
        session.add(Child(parent_id=1))
        await session.commit()  # step 3


@wrong("check-then-delete of a parent")
async def child_comes(session, name):
    if name == "ben":
        with contextlib.suppress(DBAPIError):
            await session.execute(insert(Child).values(parent_id=1))  # step 2
            await session.commit()
    elif not (await session.scalars(select(Child.id).where(Child.parent_id == 1))).all():  # step 1
        await session.execute(delete(Parent).where(Parent.id == 1))  # step 3
        await session.commit()


# ---------------------------------------------------------------------- predicates and snapshots


@wrong("write skew", not_both_empty)
async def skew_orm(session, name):
    accounts = (await session.scalars(select(Account).order_by(Account.id))).all()  # steps 1, 3
    if sum(each.balance for each in accounts) == 200:
        accounts[other(name) - 1].balance = 0
    await session.commit()  # steps 2, 4


@wrong("write skew", not_both_empty, level="REPEATABLE READ")
async def skew_core(session, name):
    if await session.scalar(select(func.sum(Account.balance))) == 200:  # steps 1, 3
        await session.execute(update(Account).where(Account.id == other(name)).values(balance=0))  # steps 2, 4
    await session.commit()


@wrong("write skew by a predicate", at_most(1, Tag))
async def skew_by_count(session, name):
    if await session.scalar(select(func.count()).select_from(Tag)) == 0:  # steps 1, 3
        await session.execute(insert(Tag).values(name=name))  # steps 2, 4
    await session.commit()


@wrong("write skew by a predicate", at_most(1, Tag), level="REPEATABLE READ")
async def skew_by_count_of_one_kind(session, name):
    if await session.scalar(select(func.count()).select_from(Tag).where(Tag.name == "new")) == 0:  # steps 1, 3
        session.add(Tag(name="new"))
    await session.commit()  # steps 2, 4


@wrong("row re-checked after a wait", no_job_runs_twice)
async def update_in_limit(session, name):
    inner = "SELECT id FROM job WHERE state = 'new' ORDER BY id LIMIT 1"
    await execute(session, f"UPDATE job SET state = 'taken', runs = runs + 1 WHERE id IN ({inner})")  # steps 1, 2, 3
    await session.commit()


@wrong("row re-checked after a wait", no_job_runs_twice)
async def update_equals_limit(session, name):
    first = select(Job.id).where(Job.state == "new").order_by(Job.id).limit(1).scalar_subquery()
    await session.execute(update(Job).where(Job.id == first).values(state="taken", runs=Job.runs + 1))  # steps 1, 2, 3
    await session.commit()


async def _everybody_has_a_job(session, outcome):
    taken = (await session.scalars(select(Job.id).where(Job.state == "taken"))).all()
    assert len(taken) == 2, f"jobs {taken} are taken by two workers"


@wrong("row re-checked after a wait", _everybody_has_a_job)
async def update_finds_nothing(session, name):
    inner = "SELECT id FROM job WHERE state = 'new' ORDER BY id LIMIT 1"
    await execute(session, f"UPDATE job SET state = 'taken' WHERE state = 'new' AND id = ({inner})")  # steps 1, 2, 3
    await session.commit()


async def _both_found_their_row(session, outcome):
    assert all(result.value for result in outcome.results.values()), "one of them found nothing"


@wrong("row re-checked after a wait", _both_found_their_row)
async def join_after_a_wait(session, name):
    pair = "SELECT job.id FROM job JOIN parent ON job.runs = parent.n WHERE job.id = 1 AND parent.id = 1"
    found = (await execute(session, f"{pair} FOR UPDATE OF job")).all()  # steps 1, 3
    await execute(session, "UPDATE parent SET n = n + 1 WHERE id = 1")  # step 2
    await execute(session, "UPDATE job SET runs = runs + 1 WHERE id = 1")
    await session.commit()
    return len(found)


@wrong("snapshot older than the lock", at_most(1, Tag), level="REPEATABLE READ")
async def lock_then_look(session, name):
    await session.execute(select(Parent).where(Parent.id == 1).with_for_update())  # step 1
    if not (await session.scalars(select(Tag.id).where(Tag.name == "new"))).all():  # step 3
        await session.execute(insert(Tag).values(name="new"))  # step 2
    await session.commit()


async def _reader_saw_200(session, outcome):
    assert outcome.results["reader"].value == 200


@wrong("read at two moments", _reader_saw_200, names=("ann", "reader"))
async def two_selects(session, name):
    if name == "reader":
        one = await session.scalar(select(Account.balance).where(Account.id == 1))  # step 1
        return one + await session.scalar(select(Account.balance).where(Account.id == 2))  # step 3
    for account, amount in ((1, -10), (2, 10)):
        changed = update(Account).where(Account.id == account).values(balance=Account.balance + amount)
        await session.execute(changed)  # step 2
    await session.commit()
    return None


# ---------------------------------------------------------------------- locks


@wrong("lock order", nobody_is_refused)
async def order_orm(session, name):
    for number in (1, 2) if name == "ann" else (2, 1):
        account = await session.get_one(Account, number, with_for_update=True)  # steps 1, 2, 3, 4
        account.balance -= 1
    await session.commit()


@wrong("lock order", nobody_is_refused)
async def order_text(session, name):
    for number in (1, 2) if name == "ann" else (2, 1):
        await execute(session, f"UPDATE account SET balance = balance - 1 WHERE id = {number}")  # steps 1, 2, 3, 4
    await session.commit()


@wrong("lock order", nobody_is_refused)
async def order_of_tables(session, name):
    for table in ("account", "job") if name == "ann" else ("job", "account"):
        await execute(session, f"LOCK TABLE {table} IN EXCLUSIVE MODE")  # steps 1, 2, 3, 4
    await session.commit()


@wrong("lock order", nobody_is_refused)
async def order_of_advisory_locks(session, name):
    for key in (1, 2) if name == "ann" else (2, 1):
        await execute(session, "SELECT pg_advisory_xact_lock(:key)", key=key)  # steps 1, 2, 3, 4
    await session.commit()


@wrong("upgrade from share to exclusive", nobody_is_refused)
async def share_core(session, name):
    await session.execute(select(Account.balance).where(Account.id == 1).with_for_update(read=True))  # steps 1, 2
    await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance - 1))  # steps 3, 4
    await session.commit()


@wrong("upgrade from share to exclusive", nobody_is_refused)
async def share_text(session, name):
    await execute(session, "SELECT balance FROM account WHERE id = 1 FOR SHARE")  # steps 1, 2
    await execute(session, "UPDATE account SET balance = balance - 1 WHERE id = 1")  # steps 3, 4
    await session.commit()


@wrong("foreign-key lock", nobody_is_refused)
async def child_then_parent(session, name):
    await session.execute(insert(Child).values(parent_id=1))  # steps 1, 2
    await session.execute(select(Parent).where(Parent.id == 1).with_for_update())  # steps 3, 4
    await session.commit()


@wrong("foreign-key lock", nobody_is_refused)
async def child_then_parent_orm(session, name):
    session.add(Child(parent_id=1))
    await session.flush()  # steps 1, 2
    parent = await session.get_one(Parent, 1, with_for_update=True)  # steps 3, 4
    parent.n += 1
    await session.commit()


@wrong("foreign-key lock", nobody_is_refused)
async def child_then_parent_text(session, name):
    await execute(session, "INSERT INTO child (parent_id) VALUES (1)")  # steps 1, 2
    await execute(session, "SELECT n FROM parent WHERE id = 1 FOR UPDATE")  # steps 3, 4
    await session.commit()


async def _both_hold_98(session, outcome):
    for account in (1, 2):
        await balance_is(98, account)(session, outcome)


@wrong("only the last statement was retried", _both_hold_98)
async def retry_in_part(session, name):
    for number in (1, 2) if name == "ann" else (2, 1):
        statement = update(Account).where(Account.id == number).values(balance=Account.balance - 1)
        try:
            await session.execute(statement)  # steps 1, 2
        except DBAPIError:
            await session.rollback()
            await session.execute(statement)  # step 3
    await session.commit()


@wrong("refusal swallowed", balance_is(98))
async def deadlock_is_logged(session, name):
    try:
        for number in (1, 2) if name == "ann" else (2, 1):
            less = update(Account).where(Account.id == number).values(balance=Account.balance - 1)
            await session.execute(less)  # step 1
        await session.commit()
    except DBAPIError:
        await session.rollback()


# ---------------------------------------------------------------------- what is not there to be seen


@wrong("advisory lock released before commit", balance_is(80))
async def unlock_orm(session, name):
    await execute(session, "SELECT pg_advisory_lock(7)")  # step 2
    account = await session.get_one(Account, 1)  # step 3
    account.balance -= 10
    await session.flush()
    await execute(session, "SELECT pg_advisory_unlock(7)")  # step 1
    await session.commit()


@wrong("advisory lock released before commit", at_most(1, Tag))
async def unlock_text(session, name):
    await execute(session, "SELECT pg_advisory_lock(:key)", key=3)  # step 2
    if not (await execute(session, "SELECT id FROM tag WHERE name = 'new'")).all():  # step 3
        await execute(session, "INSERT INTO tag (name) VALUES ('new')")
    await execute(session, "SELECT pg_advisory_unlock(:key)", key=3)  # step 1
    await session.commit()


async def _listens(session) -> asyncio.Event:
    heard = asyncio.Event()
    connection = await session.connection()
    driver = (await connection.get_raw_connection()).driver_connection
    await driver.add_listener("jobs", lambda *_: heard.set())  # sends
    await session.commit()
    return heard


@wrong("lost notification", names=("sender", "worker"))
async def listen_after_looking(session, name):
    if name == "sender":
        await execute(session, "UPDATE job SET state = 'ready' WHERE id = 1", "NOTIFY jobs")  # step 1
        await session.commit()
    elif (await execute(session, "SELECT id FROM job WHERE state = 'ready'")).first() is None:
        await (await _listens(session)).wait()  # step 2


@wrong("lost notification", names=("sender", "worker"))
async def listen_after_looking_core(session, name):
    if name == "sender":
        await session.execute(update(Job).where(Job.id == 1).values(state="ready"))
        await session.execute(select(func.pg_notify("jobs", "1")))  # step 1
        await session.commit()
    elif await session.scalar(select(Job.id).where(Job.state == "ready")) is None:
        await session.commit()
        await (await _listens(session)).wait()  # step 2


async def _all_are_delivered(session, outcome):
    delivered = outcome.results["reader"].value
    stored = (await session.scalars(select(Tag.id).order_by(Tag.id))).all()
    assert [each for each in stored if each <= max(delivered, default=0)] == delivered, f"{stored}, not {delivered}"


@wrong("cursor over ids", _all_are_delivered, names=("ann", "ben", "reader"))
async def keyset_core(session, name):
    if name != "reader":
        await session.execute(insert(Tag).values(name=name))  # step 1
        return await session.commit()
    found = []
    for _ in range(2):
        later = select(Tag.id).where(Tag.id > max(found, default=0)).order_by(Tag.id)
        found += (await session.scalars(later)).all()  # step 2
    return found


@wrong("cursor over ids", _all_are_delivered, names=("ann", "ben", "reader"))
async def keyset_text(session, name):
    if name != "reader":
        session.add(Tag(name=name))
        return await session.commit()  # step 1
    found = []
    for _ in range(2):
        last = max(found, default=0)
        later = await execute(session, "SELECT id FROM tag WHERE id > :last ORDER BY id", last=last)  # step 2
        found += later.scalars().all()
    return found


_numbers = [0]


async def _numbers_differ(session, outcome):
    _numbers[0] = 0
    assert sorted(result.value for result in outcome.results.values()) == [1, 2], "two requests got one number"


@wrong("state in the process", _numbers_differ)
async def counter_in_the_process(session, name):
    await session.get(Account, other(name))  # step 1
    number = _numbers[0] + 1
    await session.get(Job, other(name))
    _numbers[0] = number
    return number


@wrong("state in the process", _numbers_differ)
async def counter_beside_writes(session, name):
    await session.execute(update(Account).where(Account.id == other(name)).values(balance=0))  # step 1
    number = _numbers[0] + 1
    await session.commit()
    _numbers[0] = number
    return number
