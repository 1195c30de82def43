"""What an execution's history holds: who read and wrote which version of which row, from unmodified code."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.kit import Account, Bank, Order, add, lock
from sqlalchemy import ForeignKey, and_, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor
from lab.model.history import INITIAL, History, PredicateRead, Read, Status, Version, Write

RC, RR, SER = "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"


class Base(DeclarativeBase):
    """Owners and what they have."""


class Owner(Base):
    __tablename__ = "owner"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Item(Base):
    __tablename__ = "item"
    owner_id: Mapped[int] = mapped_column(ForeignKey("owner.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(server_default="7")


@dataclass(frozen=True)
class Owners(Scenario):
    """One owner with two items."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add(Owner(id=1, name="kim"))
        await session.flush()
        session.add_all([Item(owner_id=1, number=1, size=1), Item(owner_id=1, number=2, size=2)])


async def recorded(explorer, scenario, order="", **options):
    return await explorer.run(scenario, Order(order), recorded=True, **options)


def done_by(history: History, actor: str) -> list:
    """What an actor's only transaction did."""
    (transaction,) = [each for each in history.transactions if each.actor == actor]
    return list(transaction.operations)


def pair(one, other, base=Bank):
    """A scenario of two actors, given as functions of a session."""

    @dataclass(frozen=True)
    class Pair(base):
        @actor
        async def ann(self, session: AsyncSession) -> object:
            return await one(session)

        @actor
        async def ben(self, session: AsyncSession) -> object:
            return await other(session)

    return Pair()


async def nothing(session):
    await session.execute(select(1))


def of(code):
    """History of one actor running alone; the other does nothing."""

    async def run(explorer, base=Bank, **options):
        record = await recorded(explorer, pair(code, nothing, base), **options)
        assert not record.findings, record.findings
        return record

    return run


async def test_a_row_is_read_by_its_key_in_the_version_that_its_values_say(explorer):
    """The initial version before, the other's after its COMMIT, with the value as people say it."""

    async def reads(session):
        for _ in range(2):
            await session.get(Account, 1, populate_existing=True)

    async def writes(session):
        await session.execute(update(Account).where(Account.id == 1).values(balance=70))
        await session.commit()

    record = await recorded(explorer, pair(reads, writes), "ann ben ben ann")
    writer = next(each.id for each in record.history.transactions if each.actor == "ben")
    assert done_by(record.history, "ann") == [
        Read("account 1", INITIAL, 1, "100"),
        Read("account 1", Version(writer, 1), 4, "70"),
    ]
    assert done_by(record.history, "ben") == [Write("account 1", 2, "70")]
    assert record.history.committed == record.history.transactions
    assert record.anomalies == ("G-single",)


async def test_a_row_that_is_not_there_is_read_as_absent(explorer):
    """Before an insert in the initial version, after a delete in the dead one."""

    async def code(session):
        await session.get(Account, 9)
        await session.execute(insert(Account).values(id=9, balance=1))
        await session.execute(delete(Account).where(Account.id == 9))
        await session.get(Account, 9)
        await session.execute(delete(Account).where(Account.id == 9))
        await session.commit()

    record = await of(code)(explorer)
    assert done_by(record.history, "ann") == [
        Read("account 9", INITIAL, 1, "", absent=True),
        Write("account 9", 2, "1"),
        Write("account 9", 3, "", dead=True),
        Read("account 9", Version("T1", 2), 4, "", absent=True),
        Read("account 9", Version("T1", 2), 5, "", absent=True),
    ]


async def test_an_update_that_computes_reads_what_it_replaces_and_one_that_does_not_is_blind(explorer):
    """SET x = x + 1 is a read and a write in one step; SET x = 5 by key is a write alone."""

    async def code(session):
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))
        await session.execute(update(Account).where(Account.id == 2).values(balance=5))
        await session.commit()

    record = await of(code)(explorer)
    assert done_by(record.history, "ann") == [
        Read("account 1", INITIAL, 1, "100"),
        Write("account 1", 1, "101"),
        Write("account 2", 2, "5"),
    ]


async def test_cascades_defaults_bulk_statements_and_changed_keys_are_seen(explorer):
    """What the database writes by itself is told by the database, keys of several columns included."""

    async def code(session):
        await session.execute(insert(Item).values(owner_id=1, number=3))
        await session.execute(update(Item).values(number=Item.number + 10))
        await session.execute(delete(Owner).where(Owner.id == 1))
        await session.commit()

    record = await of(code)(explorer, Owners)
    written = [each for each in done_by(record.history, "ann") if isinstance(each, Write)]
    assert [(each.item, each.text, each.dead) for each in written if each.step == 1] == [("item (1, 3)", "7", False)]
    moved = {(each.item, each.dead) for each in written if each.step == 2}
    assert moved == {(f"item (1, {number})", number < 10) for number in (1, 2, 3, 11, 12, 13)}
    gone = {(each.item, each.dead) for each in written if each.step == 3}
    assert gone == {("owner 1", True), *((f"item (1, {number})", True) for number in (11, 12, 13))}


async def test_an_aggregate_reads_all_rows_that_match_and_a_count_only_asks_the_condition(explorer):
    """Rows whose values never reach the client are told by the snapshot, the transaction's own versions included."""
    rich = Account.balance > 99

    async def code(session):
        await session.execute(update(Account).where(Account.id == 1).values(balance=7))
        await session.scalar(select(func.sum(Account.balance)).where(rich))
        await session.scalar(select(func.count(Account.id)).where(rich))
        await session.commit()

    record = await of(code)(explorer)
    _, *summed, counted = done_by(record.history, "ann")
    name = "account where balance > 99"
    assert [each for each in summed if isinstance(each, Read)] == [
        Read(f"account {number}", INITIAL, 2, "100") for number in (2, 3, 4)
    ]
    assert summed[-1].predicate == counted.predicate == name
    assert dict(summed[-1].seen) == {
        "account 1": Version("T1", 1),
        **dict.fromkeys(map("account {}".format, (2, 3, 4)), INITIAL),
    }
    assert (counted.step, counted.seen) == (3, summed[-1].seen)
    matching = {(f"account {number}", INITIAL) for number in (1, 2, 3, 4)}
    assert record.history.predicates == {name: matching}


async def test_a_condition_is_asked_of_every_version_there_was(explorer):
    """Also of versions that were rolled back, deleted, or never seen by who asked."""
    low = select(Account).where(Account.balance < 50, Account.id.in_([1, 2]))

    async def asks(session):
        await session.scalars(low)
        await session.scalars(low)

    async def writes(session):
        await session.execute(update(Account).where(Account.id == 1).values(balance=10))
        await session.execute(update(Account).where(Account.id == 1).values(balance=60))
        await session.execute(update(Account).where(Account.id == 2).values(balance=20))
        await session.commit()

    record = await recorded(explorer, pair(asks, writes), "ann ben ben ben ben ann")
    first, found, second = done_by(record.history, "ann")
    writer = next(each.id for each in record.history.transactions if each.actor == "ben")
    assert first.predicate == second.predicate == "account where balance < 50 AND id IN (1, 2)"
    assert found == Read("account 2", Version(writer, 1), 6, "20")
    assert dict(first.seen) == dict.fromkeys(map("account {}".format, (1, 2, 3, 4)), INITIAL)
    assert dict(second.seen)["account 1"] == Version(writer, 2)
    assert record.history.predicates[first.predicate] == {
        ("account 1", Version(writer, 1)),
        ("account 2", Version(writer, 1)),
    }
    assert record.anomalies == ("PMP",)


async def test_a_row_that_no_longer_matches_after_the_wait_was_seen_in_a_version_that_does_not(explorer):
    """At READ COMMITTED a locking statement looks again; what it did not find is not claimed to have matched."""

    async def locks(session):
        await session.scalars(select(Account).where(Account.balance == 100, Account.id < 3).with_for_update())
        await session.commit()

    async def writes(session):
        await session.execute(update(Account).where(Account.id == 1).values(balance=1))
        await session.commit()

    record = await recorded(explorer, pair(locks, writes), "ben ann ben ann")
    read, asked = done_by(record.history, "ann")
    assert read == Read("account 2", INITIAL, 4, "100")
    assert "account 1" not in dict(asked.seen)
    assert dict(asked.seen)["account 3"] == INITIAL


@pytest.mark.parametrize(("level", "sees"), [(RC, "T2"), (RR, ""), (SER, "")])
async def test_equal_values_are_told_apart_by_the_snapshot(explorer, level, sees):
    """The other writes the value that was there before: only when it was committed says which version a read saw."""

    async def reads(session):
        await session.get(Account, 2)
        await session.get(Account, 1)

    async def writes(session):
        await session.execute(update(Account).where(Account.id == 1).values(balance=100))
        await session.commit()

    record = await recorded(explorer, pair(reads, writes), "ann ben ben ann", isolation=level)
    assert done_by(record.history, "ann")[1].version == (Version(sees, 1) if sees else INITIAL)
    assert {each.level for each in record.history.transactions} == {level}


async def test_what_a_savepoint_took_back_is_undone_and_what_it_kept_is_not(explorer):
    """Nested ones too, and a statement that failed inside one wrote nothing."""

    async def code(session):
        async with session.begin_nested():
            await session.execute(update(Account).where(Account.id == 1).values(balance=1))
        outer = await session.begin_nested()
        async with session.begin_nested():
            await session.execute(update(Account).where(Account.id == 2).values(balance=2))
        await outer.rollback()
        try:
            async with session.begin_nested():
                await session.execute(text("UPDATE account SET balance = 1 / (id - 4)"))
        except Exception:  # noqa: BLE001 - the division by zero is the point
            await session.execute(update(Account).where(Account.id == 4).values(balance=4))
        await session.commit()

    record = await of(code)(explorer)
    writes = [each for each in done_by(record.history, "ann") if isinstance(each, Write)]
    rollback = next(step.number for step in record.trace if step.action.kind == "ROLLBACK TO")
    assert [(each.item, each.text, each.undone) for each in writes] == [
        ("account 1", "1", None),
        ("account 2", "2", rollback),
        ("account 4", "4", None),
    ]


async def test_a_transaction_that_begins_with_a_savepoint_has_the_level_of_its_actor(explorer):
    """And not that of the session's transaction before, in an execution at another level."""

    async def code(session):
        async with session.begin_nested():
            await session.get(Account, 1)
        await session.commit()

    for level in (SER, RC):
        record = await of(code)(explorer, isolation=level)
        assert [each.level for each in record.history.transactions] == [level]


async def test_attempts_of_one_actor_are_transactions_of_their_own(explorer):
    """The refused one is aborted; the one that went through has read anew."""

    async def retries(session):
        for _ in range(2):
            try:
                account = await session.get_one(Account, 1)
                account.balance += 1
                await session.commit()
            except Exception:  # noqa: BLE001 - the serialization failure is the point
                await session.rollback()
            else:
                return

    record = await recorded(explorer, pair(retries, retries), "ann ben ben ben ann", isolation=RR)
    states = [(each.actor, each.status) for each in record.history.transactions]
    assert sorted(states) == [("ann", Status.ABORTED), ("ann", Status.COMMITTED), ("ben", Status.COMMITTED)]
    aborted = next(each for each in record.history.transactions if not each.committed)
    assert [type(each) for each in aborted.operations] == [Read]
    assert record.anomalies == ()


@pytest.mark.parametrize(("level", "counts"), [(RC, True), (RR, True), (SER, False)])
async def test_a_reader_whose_session_is_just_closed_counts_where_its_reads_are_promised(explorer, level, counts):
    """SQLAlchemy rolls such a session back, though its client uses what it read; PostgreSQL warns at SERIALIZABLE."""

    async def reads(session):
        return (await session.get_one(Account, 1)).balance

    record = await recorded(explorer, pair(reads, reads), isolation=level)
    assert [each.committed for each in record.history.transactions] == [counts, counts]


async def test_a_writer_that_rolls_back_is_aborted(explorer):
    """And so is one whose session ends with an open transaction."""

    async def gives_up(session):
        await session.execute(add(1))
        await session.rollback()

    async def forgets(session):
        await session.execute(add(2))

    record = await recorded(explorer, pair(gives_up, forgets))
    assert [each.committed for each in record.history.transactions] == [False, False]


async def test_an_update_that_found_nothing_makes_a_transaction_that_rolls_back_no_reader(explorer):
    """So the ORM's version counter refuses: the row that it loaded is gone, and the session is rolled back."""

    async def stale(session):
        account = await session.get_one(Account, 1)
        await session.execute(update(Account).where(Account.id == 1, Account.balance == 1).values(balance=account.id))
        await session.rollback()

    record = await recorded(explorer, pair(stale, nothing))
    assert [each.committed for each in record.history.transactions] == [False]


async def test_what_is_not_understood_is_named_and_its_writes_are_known_all_the_same(explorer):
    """Rows that an answer holds with their keys are reads; what cannot be asked again is said to be missing."""
    joined = select(Owner, Item).join(Item, and_(Item.owner_id == Owner.id, func.random() < 2))

    async def code(session):
        await session.execute(text("SELECT name FROM owner WHERE clock_timestamp() > '2000-01-01'"))
        await session.execute(text("UPDATE owner SET name = 'lee'"))
        await session.execute(joined)
        await session.execute(select(func.now()))
        await session.commit()

    record = await of(code)(explorer, Owners)
    own = Version("T1", 1)
    assert done_by(record.history, "ann") == [
        Write("owner 1", 2, "lee"),
        Read("owner 1", own, 3, "lee"),
        Read("item (1, 1)", INITIAL, 3, "1"),
        Read("item (1, 2)", INITIAL, 3, "2"),
    ]
    assert [each.split()[0] for each in record.unseen] == ["SELECT", "UPDATE", "SELECT"]


async def test_only_what_differs_of_a_row_is_told(explorer):
    """Of several columns, those that changed; long values are cut."""

    async def code(session):
        await session.execute(update(Owner).where(Owner.id == 1).values(name="x" * 100))
        await session.commit()

    record = await of(code)(explorer, Owners)
    (write,) = done_by(record.history, "ann")
    assert write.text == "x" * 59 + "…"


async def test_statements_outside_transactions_are_transactions_by_themselves(explorer):
    """A connection at AUTOCOMMIT, and one that hands out its rows in parts."""

    @dataclass(frozen=True)
    class Alone(Bank):
        @actor
        async def ann(self, engine: AsyncEngine) -> None:
            async with engine.connect() as connection:
                alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await alone.execute(update(Account).where(Account.id == 1).values(balance=5))
                await alone.execute(select(Account.id, Account.balance).where(Account.id == 1))

        @actor
        async def ben(self, connection: AsyncConnection) -> None:
            parts = await connection.stream(select(Account).order_by(Account.id).execution_options(yield_per=2))
            assert len([row async for row in parts]) == 4

    record = await recorded(explorer, Alone())
    ann = [each for each in record.history.transactions if each.actor == "ann"]
    assert [[type(op) for op in each.operations] for each in ann] == [[Write], [Read]]
    assert all(each.committed and each.level == RC for each in ann)
    ben = done_by(record.history, "ben")
    assert [each.item for each in ben if isinstance(each, Read)] == [f"account {number}" for number in (1, 2, 3, 4)]
    assert isinstance(ben[-1], PredicateRead)


async def test_nothing_is_recorded_unless_it_is_asked_for(explorer):
    """And asking for it changes neither the trace nor the outcome."""

    async def code(session):
        account = await session.get_one(Account, 1)
        account.balance += 1
        await session.commit()

    scenario = pair(code, code)
    before = await explorer.run(scenario, Order("ann ben ben ann"))
    during = await recorded(explorer, scenario, "ann ben ben ann")
    after = await explorer.run(scenario, Order("ann ben ben ann"))
    assert before.history is None is after.history
    assert during.history is not None
    assert during.same_as(before)
    assert after.same_as(before)
    assert during.anomalies == ("P4",)


async def test_a_lock_on_a_table_is_no_read_and_text_is_read_by_its_answer(explorer):
    """A text statement rests on what it showed; where nobody writes, that is all that is known."""

    async def code(session):
        await session.execute(lock(1))
        await session.execute(text("LOCK TABLE account IN SHARE MODE"))
        await session.commit()

    record = await of(code)(explorer)
    (read,) = done_by(record.history, "ann")
    assert isinstance(read, PredicateRead)
    assert read.predicate == "SELECT balance FROM account WHERE id = 1 FOR UPDATE"
    assert record.unseen == ()


async def test_a_row_under_the_key_of_a_deleted_one_is_another_item(explorer):
    """So at REPEATABLE READ it is no anomaly that PostgreSQL lets in a row whose deleted namesake is still seen."""

    async def inserts(session):
        await session.get(Account, 1)
        await session.execute(insert(Account).values(id=1, balance=5))
        rows = (await session.execute(select(Account.id, Account.balance).order_by(Account.balance))).all()
        await session.commit()
        return [tuple(row) for row in rows if row.id == 1]

    async def deletes(session):
        await session.execute(delete(Account).where(Account.id == 1))
        await session.commit()

    record = await recorded(explorer, pair(inserts, deletes), "ann ben ben ann", isolation=RR)
    assert record.outcome.results["ann"].value == [(1, 5), (1, 100)]  # two rows of one primary key
    first, written, *seen, _ = done_by(record.history, "ann")
    assert (first.item, written.item) == ("account 1", "new account 1")
    own = written.item, Version(next(each.id for each in record.history.transactions if each.actor == "ann"), 1)
    assert {(each.item, each.version) for each in seen if each.item.endswith(" 1")} == {own, ("account 1", INITIAL)}
    assert record.anomalies == ()


async def test_who_finds_no_row_has_seen_the_deleted_one_gone_and_the_next_one_not_there(explorer):
    """The delete comes before the read, and the insert that follows comes after it."""

    async def looks(session):
        await session.get(Account, 1)

    async def replaces(session):
        await session.execute(delete(Account).where(Account.id == 1))
        await session.commit()
        await session.execute(insert(Account).values(id=1, balance=5))
        await session.commit()

    record = await recorded(explorer, pair(looks, replaces), "ben ben ann ann")
    first = next(each.id for each in record.history.transactions if each.actor == "ben")
    assert done_by(record.history, "ann") == [
        Read("account 1", Version(first, 1), 3, "", absent=True),
        Read("new account 1", INITIAL, 3, "", absent=True),
    ]


async def test_lists_in_a_condition_keep_their_own_values(explorer):
    """SQLAlchemy compiles such statements once for all lists; the construct that it kept has another one's values."""

    async def code(session):
        for numbers in ([1, 2], [3, 4]):
            await session.scalars(select(Account).where(Account.id.in_(numbers)))

    record = await of(code)(explorer)
    assert {name: {item for item, _ in rows} for name, rows in record.history.predicates.items()} == {
        "account where id IN (1, 2)": {"account 1", "account 2"},
        "account where id IN (3, 4)": {"account 3", "account 4"},
    }
