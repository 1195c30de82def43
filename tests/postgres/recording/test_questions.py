"""Whatever a query looks like, it has read what its answer rests on, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.kit import Account, Bank, Order
from sqlalchemy import and_, delete, exists, func, insert, literal, select, text, union_all, update

from lab import actor
from lab.model.history import Read
from lab.report.failure import explanation_of

RICH = 500


def rich(account=Account):
    return account.balance >= RICH


other = select(Account).where(rich()).subquery()

LOOKS = {
    "exists": select(exists().where(rich())),
    "exists in a condition": select(Account.id).where(Account.id == 4, exists(select(other.c.id))),
    "not in": select(Account.id).where(Account.id == 4, Account.balance.not_in(select(other.c.balance - 400))),
    "scalar subquery": select(select(func.count()).select_from(other).scalar_subquery()),
    "join": select(Account.id).join(other, and_(Account.id == 4, other.c.id > 0)),
    "aggregate by group": select(func.max(Account.balance) >= RICH).group_by(literal(1) == 1),
    "having": select(func.count()).select_from(Account).having(func.max(Account.balance) >= RICH),
    "union": union_all(select(Account.id).where(rich()), select(Account.id).where(Account.id == 99)),
    "text": text("SELECT 1 FROM account WHERE balance >= 500"),
    "text with values": text("SELECT count(*) FROM account a WHERE a.balance >= :least").bindparams(least=RICH),
    "with": text("WITH rich AS (SELECT * FROM account WHERE balance >= 500) SELECT id FROM rich"),
    "text that locks": text("SELECT id FROM account WHERE balance >= 500 FOR UPDATE"),
}


def skew(look, *, changes, first=11, second=12):
    """Two actors that look and then write."""

    @dataclass(frozen=True)
    class Skew(Bank):
        @actor
        async def ann(self, session) -> None:
            await session.execute(look)
            await session.execute(insert(Account).values(id=first, balance=changes))
            await session.commit()

        @actor
        async def ben(self, session) -> None:
            await session.execute(look)
            await session.execute(insert(Account).values(id=second, balance=changes))
            await session.commit()

    return Skew()


async def recorded(explorer, scenario, order="ann ben ben ben ann ann"):
    return await explorer.run(scenario, Order(order), recorded=True)


@pytest.mark.parametrize("name", LOOKS)
async def test_a_query_of_any_kind_has_read_what_changes_its_answer(explorer, name):
    record = await recorded(explorer, skew(LOOKS[name], changes=RICH))
    assert record.unseen == ()
    assert record.anomalies == ("G2",)


@pytest.mark.parametrize(
    "name", [each for each in LOOKS if each != "aggregate by group"]
)  # which is about every row, as it is written
async def test_it_has_not_read_what_makes_no_difference_to_it(explorer, name):
    record = await recorded(explorer, skew(LOOKS[name], changes=7))
    assert record.unseen == ()
    assert record.anomalies == ()


async def test_a_lost_update_by_text_is_one(explorer):
    @dataclass(frozen=True)
    class ByText(Bank):
        @actor(names=("ann", "ben"))
        async def add(self, session) -> None:
            balance = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))
            await session.execute(text("UPDATE account SET balance = :b WHERE id = 1"), {"b": balance + 1})
            await session.commit()

    record = await recorded(explorer, ByText())
    assert record.anomalies == ("P4",)
    assert record.unseen == ()
    assert "ann read 100 before ben replaced it" in [link.sentence for link in explanation_of(record).links]


async def test_an_insert_from_a_select_reads_what_it_selects(explorer):
    @dataclass(frozen=True)
    class Copies(Bank):
        @actor
        async def ann(self, session) -> None:
            source = select(literal(11), func.coalesce(func.sum(Account.balance), 0)).where(Account.id.in_([1, 12]))
            await session.execute(insert(Account).from_select(["id", "balance"], source))
            await session.commit()

        @actor
        async def ben(self, session) -> None:
            await session.execute(
                text("INSERT INTO account (id, balance) SELECT 12, sum(balance) FROM account WHERE id IN (:a, :b)"),
                {"a": 2, "b": 11},
            )
            await session.commit()

    record = await recorded(explorer, Copies(), "ann ben ben ann")
    assert record.unseen == ()
    assert record.anomalies == ("G2",)


async def test_an_update_reads_what_its_subquery_looks_at(explorer):
    @dataclass(frozen=True)
    class Guarded(Bank):
        async def take(self, session, mine: int, its: int) -> None:
            enough = exists().where(other.c.id == its)
            await session.execute(update(Account).where(Account.id == mine, ~enough).values(balance=RICH))
            await session.commit()

        @actor
        async def ann(self, session) -> None:
            await self.take(session, 1, 2)

        @actor
        async def ben(self, session) -> None:
            await self.take(session, 2, 1)

    record = await recorded(explorer, Guarded(), "ann ben ben ann")
    assert record.unseen == ()
    assert record.anomalies == ("G2-item",)


BESIDE = {
    "the moment": "SELECT balance, now() FROM account WHERE id = 1",
    "the clock": "SELECT balance, clock_timestamp() FROM account WHERE id = 1",
    "chance": "SELECT balance, random(), md5(random()::text), gen_random_uuid() FROM account WHERE id = 1",
    "a condition on the moment": "SELECT balance FROM account WHERE id = 1 AND now() > '2000-01-01'",
}


@pytest.mark.parametrize("name", BESIDE)
async def test_chance_beside_a_read_does_not_hide_it(explorer, name):
    @dataclass(frozen=True)
    class Stamped(Bank):
        @actor(names=("ann", "ben"))
        async def add(self, session) -> None:
            balance = await session.scalar(text(BESIDE[name]))
            await session.execute(update(Account).where(Account.id == 1).values(balance=balance + 1))
            await session.commit()

    record = await recorded(explorer, Stamped())
    assert record.unseen == ()
    assert record.anomalies == ("P4",)


async def test_rows_that_were_there_are_items_and_a_deleted_one_ends_the_answer(explorer):
    @dataclass(frozen=True)
    class Reads(Bank):
        @actor
        async def ann(self, session) -> None:
            await session.execute(text("SELECT sum(balance) FROM account WHERE id < 3"))
            await session.execute(text("SELECT sum(balance) FROM account WHERE id < 3"))
            await session.commit()

        @actor
        async def ben(self, session) -> None:
            await session.execute(update(Account).where(Account.id == 1).values(balance=7))
            await session.execute(delete(Account).where(Account.id == 4))
            await session.commit()

    record = await recorded(explorer, Reads(), "ann ben ben ben ann")
    (ann,) = [each for each in record.history.transactions if each.actor == "ann"]
    reads = [(read.item, read.version.writer, read.step) for read in ann.operations if isinstance(read, Read)]
    assert reads == [("account 1", "", 1), ("account 1", "T2", 5)]


NOT_AGAIN = [
    "SELECT nextval('s') FROM account",
    "SELECT pg_advisory_xact_lock(1), id FROM account",
    "SELECT id, counted() FROM account",
    "SELECT id FROM account WHERE clock_timestamp() > '2000-01-01'",
    "SELECT id FROM account WHERE random() < 2",
    "SELECT id FROM public.account",
    "SELECT id FROM guessed_account, account WHERE false",
    "SELECT id FROM account LIMIT 1 FOR UPDATE SKIP LOCKED",
]


@pytest.mark.parametrize("sql", NOT_AGAIN)
async def test_what_may_do_more_or_cannot_be_given_the_rows_is_not_followed(explorer, sql):
    class Hidden(Bank):
        async def schema(self, connection) -> None:
            await connection.execute(text("CREATE SEQUENCE s"))
            await connection.execute(
                text("CREATE VIEW guessed_account AS SELECT id AS number FROM account WHERE random() < 2")
            )
            await connection.execute(
                text("CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM account'")
            )

        @actor(names=("ann", "ben"))
        async def look(self, session) -> None:
            await session.execute(text(sql))

    record = await explorer.run(Hidden(), Order(), recorded=True)
    assert record.unseen == (sql,)
    assert record.history.transactions == ()
