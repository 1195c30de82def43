"""Locks and levels that a remedy adds to unchanged code: where they are put, and where the code is left alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from helpers.decided import said
from helpers.kit import Account, Bank, Base, Order, add, lock, of, replays, told
from sqlalchemy import String, bindparam, cast, distinct, exists, func, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapped, aliased, mapped_column
from sqlalchemy.orm.exc import StaleDataError

from lab import actor, invariant
from lab.model.footprint import Lock, Rows
from lab.model.remedy import Remedy

LOCKED = "FOR UPDATE"
KEYS = "SELECT account.id FROM account"


class Owner(Base):
    __tablename__ = "owner"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String)


READS = Remedy("locked reads", lock_reads=frozenset({"account"}))


def rows(*ids: int) -> tuple[Rows, ...]:
    return (Rows("account", (("id", frozenset(f"int:{number}" for number in ids)),)),)


def sent(*statements: Any, options: Any = None) -> Bank:
    """A scenario whose first actor sends these statements in one transaction, beside one that reads no table."""

    @dataclass(frozen=True)
    class Sent(Bank):
        @actor
        async def alice(self, session: AsyncSession) -> None:
            if options:
                await session.connection(execution_options=options)
            for statement in statements:
                await session.execute(statement)
            await session.commit()

        @actor
        async def bob(self, session: AsyncSession) -> None:
            await session.execute(text("SELECT 1"))

    return Sent()


BALANCE = select(Account.balance)
PUT_AT_THE_END = {
    "by key": BALANCE.where(Account.id == 1),
    "all columns": select(Account),
    "sorted and cut": BALANCE.where(Account.balance > 0).order_by(Account.id).limit(2).offset(1),
    "functions of a row": select(func.abs(Account.balance), cast(Account.balance, String)),
    "by a list": BALANCE.where(Account.id.in_([1, 2])),
}
PUT_BEFORE = {
    "sum": (select(func.sum(Account.balance)), "1234"),
    "count of some": (select(func.count(Account.id)).where(Account.balance > 50, Account.id != 4), "123"),
    "coalesced": (select(func.coalesce(func.max(Account.balance), 0)).where(Account.id == 2), "2"),
    "the same of another row": (select(func.coalesce(func.max(Account.balance), 0)).where(Account.id == 3), "3"),
    "by a list": (select(func.count()).select_from(Account).where(Account.id.in_([4, 1])), "14"),
    "by a name": (select(func.count(Account.id)).where(Account.id < bindparam("end")).params(end=3), "12"),
    "of a plain table": (select(func.sum(Account.__table__.c.balance)).where(Account.__table__.c.id > 3), "4"),
}
"""Statement, and the ids of the rows that it reads."""
LEFT_ALONE = {
    "distinct": select(Account.balance).distinct(),
    "groups": select(Account.balance, func.count()).group_by(Account.balance),
    "having": select(func.count(Account.id)).having(func.count(Account.id) > 1),
    "distinct in a function": select(func.count(distinct(Account.balance))).group_by(Account.id),
    "join": select(Account).join(Owner, Owner.id == Account.id),
    "outer join": select(Account).outerjoin(Owner, Owner.id == Account.id),
    "two tables": select(Account, Owner).where(Account.id == Owner.id),
    "alias": select(aliased(Account)),
    "subquery": select(Account).where(Account.id.in_(select(Owner.id))),
    "exists": select(exists().where(Account.id == 1)),
    "union": select(Account.id).union(select(Account.balance)),
    "common table": select(select(Account.balance).cte("some")),
    "window": select(func.row_number().over(order_by=Account.id)),
    "unknown function": select(func.pg_column_size(Account.balance)),
    "rows made of one": select(func.unnest(func.array_agg(Account.id))),
    "several rows of one": select(func.unnest(literal_column("ARRAY[1, 2]"))).select_from(Account),
    "literal": select(literal_column("count(*)")).select_from(Account),
    "text": text("SELECT balance FROM account"),
    "text with parameters": text("SELECT balance FROM account WHERE id = :id").bindparams(id=1),
    "text as columns": text("SELECT id FROM account").columns(Account.id),
}
NOTHING_TO_DO = {
    "locked by itself": BALANCE.with_for_update(),
    "share lock": BALANCE.with_for_update(read=True),
    "text with a lock": lock(1),
    "update": update(Account).values(balance=Account.balance + 1),
    "text that writes": add(1),
    "other table": select(Owner.id),
    "no table": select(func.abs(-1)),
    "text of another table": text("SELECT id FROM owner"),
}


@pytest.mark.parametrize("name", PUT_AT_THE_END)
async def test_a_select_of_rows_gets_its_lock_at_the_end(explorer, name):
    """The same statement with FOR UPDATE is sent, shown, and known to lock."""
    plain = await explorer.run(sent(PUT_AT_THE_END[name]), Order())
    record = await explorer.run(sent(PUT_AT_THE_END[name]), Order(), remedy=READS)
    assert of(record, "alice") == [f"{of(plain, 'alice')[0]} {LOCKED}", "COMMIT"]
    before, after = plain.trace.steps[0], record.trace.steps[0]
    assert after.result == before.result
    (access,) = after.action.footprint.accesses
    assert (access.lock, access.reads, access.writes) == (Lock.UPDATE, True, False)
    assert record.applied.locked == {before.action.text}
    assert not record.applied.left


@pytest.mark.parametrize("name", PUT_BEFORE)
async def test_rows_that_are_added_up_are_locked_before_it(explorer, name):
    """PostgreSQL refuses FOR UPDATE with an aggregate, so a step of its own locks the rows that it will read."""
    statement, ids = PUT_BEFORE[name]
    plain = await explorer.run(sent(statement), Order())
    record = await explorer.run(sent(statement), Order(), remedy=READS)
    locking, reading, commit = of(record, "alice")
    assert [reading, commit] == of(plain, "alice")
    assert locking.startswith(KEYS)
    assert locking.endswith(f"ORDER BY account.id {LOCKED}")
    assert record.trace.steps[1].result == plain.trace.steps[0].result
    assert record.trace.steps[0].result.rows == tuple((number,) for number in ids)
    assert record.applied.locked == {plain.trace.steps[0].action.text}


@pytest.mark.parametrize("name", LEFT_ALONE)
async def test_what_cannot_be_locked_is_left_alone_and_named(explorer, name):
    """The statement is sent as it is, and the record says that it has no lock."""
    plain = await explorer.run(sent(LEFT_ALONE[name]), Order())
    record = await explorer.run(sent(LEFT_ALONE[name]), Order(), remedy=READS)
    assert record.same_as(plain)
    assert record.applied.left == {plain.trace.steps[0].action.text}
    assert not record.applied.locked


@pytest.mark.parametrize("name", NOTHING_TO_DO)
async def test_what_reads_no_such_rows_without_a_lock_is_none_of_the_remedys_business(explorer, name):
    plain = await explorer.run(sent(NOTHING_TO_DO[name]), Order())
    record = await explorer.run(sent(NOTHING_TO_DO[name]), Order(), remedy=READS)
    assert record.same_as(plain)
    assert not record.applied.left | record.applied.locked


@pytest.mark.parametrize("options", [{"isolation_level": "AUTOCOMMIT"}, {"postgresql_readonly": True}])
async def test_where_a_lock_would_not_last_or_is_forbidden_there_is_none(explorer, options):
    """A lock is gone with its statement at AUTOCOMMIT, and PostgreSQL refuses it in a read-only transaction."""
    scenario = sent(BALANCE, select(func.sum(Account.balance)), options=options)
    plain = await explorer.run(scenario, Order())
    record = await explorer.run(scenario, Order(), remedy=READS)
    assert record.same_as(plain)
    assert not record.findings
    if "isolation_level" in options:
        first = Remedy("order", lock_first=(("alice", rows(1)),))
        assert (await explorer.run(scenario, Order(), remedy=first)).same_as(plain)


async def test_readers_wait_and_the_schedule_replays(explorer):
    """An added lock makes another one wait like any lock, and the execution replays identically."""

    @dataclass(frozen=True)
    class Lost(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session: AsyncSession) -> None:
            async with session.begin():
                account = await session.get_one(Account, 1)
                account.balance += 1

    record = await explorer.run(Lost(), Order("alice bob alice alice bob"), remedy=READS)
    assert told(record.trace)[1].endswith(f"{LOCKED} (B)")
    assert record.outcome.rows["account"][0] == "(1,102)"
    assert (record.lock_waits, record.aborts) == (1, {})
    assert await replays(explorer, record, times=5, remedy=READS)
    assert (await explorer.run(Lost(), Order("alice bob alice alice bob"))).outcome.rows["account"][0] == "(1,101)"


async def test_a_locked_read_of_several_rows_can_be_paused_like_one_of_the_code_itself(explorer):
    """A statement with an added lock takes its rows one by one too, so it has breakpoints."""
    offered = []

    class Asks(Order):
        def choose(self, choices):
            offered.extend(name for name in said(choices.decisions) if name.startswith("pause"))
            return 0

    await explorer.run(sent(BALANCE), Asks())
    assert not offered
    await explorer.run(sent(BALANCE), Asks(), remedy=READS)
    assert {"pause2@alice", "pause4@alice"} <= set(offered)


async def test_rows_are_locked_first_in_each_transaction(explorer):
    """One statement a table, in the order of the key, before whatever the actor's transactions begin with."""

    @dataclass(frozen=True)
    class Twice(Bank):
        @actor
        async def alice(self, session: AsyncSession) -> None:
            async with session.begin(), session.begin_nested():
                await session.execute(add(3))
            async with session.begin():
                await session.execute(add(1))

        @actor
        async def bob(self, session: AsyncSession) -> None:
            async with session.begin():
                await session.execute(add(2))

    remedy = Remedy("order", lock_first=(("alice", (*rows(3, 1), Rows("owner"))),))
    record = await explorer.run(Twice(), Order(), remedy=remedy)
    first = [f"{KEYS} WHERE account.id IN ($1::INTEGER, $2::INTEGER) ORDER BY account.id {LOCKED}"]
    first += [f"SELECT owner.id FROM owner WHERE true ORDER BY owner.id {LOCKED}"]
    lines = of(record, "alice")
    assert lines[:3] == [*first, "SAVEPOINT sa_savepoint_1"]
    assert lines[6:9] == [*first, add(1).text]
    assert of(record, "bob") == [add(2).text, "COMMIT"]
    assert record.trace.steps[0].result.rows == (("1",), ("3",))
    assert await replays(explorer, record, remedy=remedy)


# ---------------------------------------------------------------------------------------------------- retry


def refused(*errors: Exception, attempts: list[int]) -> Bank:
    """A scenario whose first actor raises these, one at each attempt, and then returns."""

    @dataclass(frozen=True)
    class Refused(Bank):
        allows = (ValueError,)

        @invariant
        async def judged_by_the_test(self) -> None:
            """So no serial run is made to judge by."""

        @actor
        async def alice(self, session: AsyncSession) -> int:
            attempts.append(len(attempts))
            await session.execute(add(1))
            if len(attempts) <= len(errors):
                raise errors[len(attempts) - 1]
            await session.commit()
            return len(attempts)

        @actor
        async def bob(self, session: AsyncSession) -> None:
            await session.execute(text("SELECT 1"))

    return Refused()


def states(state: str) -> Any:
    return text(f"DO $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{state}'; END $$")


@pytest.mark.parametrize(
    ("state", "again"), [("40001", True), ("40P01", True), ("55P03", False), ("23505", False), ("57014", False)]
)
async def test_only_what_the_server_refuses_for_concurrency_is_tried_again(plain, state, again):
    """A serialization failure or a deadlock runs the whole actor again with a new session; nothing else does."""
    sessions = []

    @dataclass(frozen=True)
    class Once(Bank):
        allows = (state,)

        @invariant
        async def judged_by_the_test(self) -> None:
            """So no serial run is made to judge by."""

        @actor
        async def alice(self, session: AsyncSession) -> str:
            sessions.append(session)
            await session.execute(add(1))
            if len(sessions) == 1:
                await session.execute(states(state))
            await session.commit()
            return "done"

        @actor
        async def bob(self, session: AsyncSession) -> None:
            await session.execute(text("SELECT 1"))

    record = await plain.run(Once(), Order(), remedy=Remedy("retry", attempts=3))
    result = record.outcome.results["alice"]
    assert len({id(session) for session in sessions}) == 1 + again
    assert (result.returned, result.sqlstate) == (again, "" if again else state)
    assert record.outcome.rows["account"][0] == f"(1,{100 + again})", "the first attempt is rolled back"
    assert record.applied.retries == ({state: 1} if again else {})
    assert record.aborts == ({} if state in ("23505", "57014") else {state: 1})
    assert (await plain.run(Once(), Order())).applied is None


async def test_attempts_end_and_the_last_refusal_is_the_answer(explorer):
    class Always(Bank):
        @actor
        async def alice(self, session: AsyncSession) -> None:
            await session.execute(states("40001"))

        @actor
        async def bob(self, session: AsyncSession) -> None:
            await session.execute(text("SELECT 1"))

    record = await explorer.run(Always(), Order(), remedy=Remedy("retry", attempts=4))
    assert record.outcome.results["alice"].sqlstate == "40001"
    assert record.applied.retries == {"40001": 3}
    assert record.aborts == {"40001": 4}


async def test_a_stale_version_is_tried_again_and_counted(plain):
    attempts: list[int] = []
    record = await plain.run(
        refused(StaleDataError("no row"), attempts=attempts), Order(), remedy=Remedy("retry", attempts=3)
    )
    assert record.outcome.results["alice"].value == 2
    assert record.applied.retries == {"StaleDataError": 1}
    assert record.aborts == {"StaleDataError": 1}


async def test_what_the_application_raises_is_its_answer(plain):
    """An error of the code is never tried again, whether it is the first or comes from a second attempt."""
    attempts: list[int] = []
    record = await plain.run(refused(ValueError("no"), attempts=attempts), Order(), remedy=Remedy("r", attempts=9))
    assert (len(attempts), record.applied.retries) == (1, {})
    assert isinstance(record.outcome.results["alice"].error, ValueError)


# ------------------------------------------------------------------------------------- engines of the application


@pytest.fixture
async def engine(server):
    engine = create_async_engine(f"postgresql+asyncpg://postgres@/postgres?host={server.folder / 's'}", pool_size=4)
    yield engine
    await engine.dispose()


def of_its_own(engine) -> Bank:
    factory = async_sessionmaker(engine)

    @dataclass(frozen=True)
    class Own(Bank):
        watch = (engine,)

        @actor(names=("alice", "bob"))
        async def work(self) -> None:
            async with factory() as session, session.begin():
                account = await session.get_one(Account, 1)
                account.balance += 1

    return Own()


async def test_an_engine_of_the_application_is_given_locks_levels_and_retries_too(explorer, engine):
    """Nothing of the remedy depends on the session that the lab hands out."""
    scenario, order = of_its_own(engine), "alice bob alice alice bob"
    lost = await explorer.run(scenario, Order(order))
    assert lost.outcome.rows["account"][0] == "(1,101)"
    locked = await explorer.run(scenario, Order(order), remedy=READS)
    assert locked.outcome.rows["account"][0] == "(1,102)"
    first = Remedy("order", lock_first=tuple((name, rows(1)) for name in ("alice", "bob")))
    assert (await explorer.run(scenario, Order(), remedy=first)).trace.steps[0].action.text.endswith(LOCKED)
    again = Remedy("level", isolation="REPEATABLE READ", attempts=5)
    retried = await explorer.run(scenario, Order(order), remedy=again)
    assert retried.outcome.rows["account"][0] == "(1,102)"
    assert (retried.applied.retries, retried.isolation) == ({"40001": 1}, "REPEATABLE READ")
    assert (await explorer.run(scenario, Order(order))).same_as(lost), "it is as it was, without a remedy"


def test_a_remedy_is_plain():
    """It can be told in JSON."""
    remedy = Remedy("x", "SERIALIZABLE", 10, frozenset({"b", "a"}), (("alice", rows(2, 1)),))
    assert json.loads(json.dumps(remedy.dump())) == {
        "isolation": "SERIALIZABLE",
        "attempts": 10,
        "pause": False,
        "catches": [],
        "lock_reads": ["a", "b"],
        "lock_first": {"alice": [{"table": "account", "key": {"id": ["int:1", "int:2"]}}]},
    }
