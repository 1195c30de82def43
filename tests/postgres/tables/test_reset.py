"""Between executions the tables hold exactly what `setup` made, whatever is in them and whatever was done to them."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import os
import uuid
from dataclasses import dataclass, field

import pytest
from helpers.kit import Order
from sqlalchemy import (
    ARRAY,
    DDL,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    Identity,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    String,
    Table,
    Text,
    Uuid,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import INT4RANGE, JSONB

import lab
from lab import Scenario, actor
from lab.postgres.tables import reset
from lab.schedulers import make_scheduler
from lab.search.hunt import Hunt

metadata = MetaData()


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


numbers = Sequence("numbers", start=10, metadata=metadata)
cached = Sequence("cached", cache=20, metadata=metadata)
odd = Table(
    'Odd "table" name',
    metadata,
    Column('the "id"', Integer, primary_key=True),
    Column("select", Text),
    Column("größe", Text),
)
values = Table(
    "everything",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("words", Text),
    Column("raw", LargeBinary),
    Column("list", ARRAY(Text)),
    Column("document", JSON),
    Column("binary_document", JSONB),
    Column("colour", Enum(Colour)),
    Column("moment", DateTime(timezone=True)),
    Column("span", Interval),
    Column("exact", Numeric(30, 10)),
    Column("rough", Double),
    Column("yes", Boolean),
    Column("key", Uuid),
    Column("range", INT4RANGE),
    Column("twice", Text, Computed("words || words")),
)
parent = Table("z_parent", metadata, Column("id", Integer, primary_key=True))
child = Table(
    "a_child",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("parent_id", ForeignKey("z_parent.id", ondelete="CASCADE")),
)
tree = Table(
    "tree",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("up", ForeignKey("tree.id", ondelete="CASCADE")),
)
guarded = Table(
    "guarded", metadata, Column("id", Integer, primary_key=True), Column("n", Integer), CheckConstraint("n >= 0")
)
audit = Table("audit", metadata, Column("id", BigInteger, Identity(), primary_key=True), Column("what", String))
elsewhere = Table("guarded", metadata, Column("id", Integer, primary_key=True), schema="Other place")
event.listen(metadata, "before_create", DDL('CREATE SCHEMA IF NOT EXISTS "Other place"'))
TRIGGER = """
CREATE FUNCTION raise_n() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.n := NEW.n + 1; INSERT INTO audit (what) VALUES (TG_OP); RETURN NEW; END $$;
"""
event.listen(metadata, "after_create", DDL(TRIGGER.replace("%", "%%")))
event.listen(
    metadata,
    "after_create",
    DDL("CREATE TRIGGER raise_n BEFORE INSERT OR UPDATE ON public.guarded FOR EACH ROW EXECUTE FUNCTION raise_n()"),
)
ODDITIES = ["plain", "it's", 'say "x"', "back\\slash"]
ODDITIES += ["\\'; DROP TABLE tree; --", "", "NULL", None, "new\nline\t", "größe ☃"]


@dataclass(frozen=True)
class Full(Scenario):
    """Every kind of table and value, and two actors that leave none of it as it was."""

    words: int = 1
    metadata = metadata
    allows = ("40001",)

    async def setup(self, session) -> None:
        await session.execute(insert(odd), [{'the "id"': n, "select": t, "größe": t} for n, t in enumerate(ODDITIES)])
        for number, words in enumerate(ODDITIES):
            await session.execute(
                insert(values).values(
                    words=words,
                    raw=bytes([0, 92, 39, 255, number]),
                    list=["a,b", '"', None, "{}", "\\"],
                    document={"a": [1, None, "'\\\""]},
                    binary_document={"b": "☃"},
                    colour=Colour.BLUE,
                    moment=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
                    span=dt.timedelta(days=3, seconds=5),
                    exact=decimal.Decimal("123456789.0123456789"),
                    rough=0.1 + 0.2,
                    yes=True,
                    key=uuid.UUID(int=7),
                    range=text("'[3,7)'"),
                )
            )
        await session.execute(insert(parent), [{"id": 1}, {"id": 2}])
        await session.execute(insert(child), [{"id": 1, "parent_id": 2}, {"id": 2, "parent_id": None}])
        await session.execute(insert(tree), [{"id": 5, "up": None}, {"id": 2, "up": 5}, {"id": 3, "up": 2}])
        await session.execute(insert(guarded).values(id=1, n=0))
        await session.execute(insert(elsewhere).values(id=await session.scalar(numbers)))

    @actor
    async def alice(self, session) -> tuple[int, ...]:
        await session.execute(text("DELETE FROM z_parent"))
        await session.execute(text("DELETE FROM tree WHERE id = 5"))
        await session.execute(text("UPDATE guarded SET n = 10"))
        await session.execute(text("""UPDATE everything SET words = 'changed', colour = 'RED'"""))
        await session.execute(text("""INSERT INTO everything (words) VALUES ('more')"""))
        got = await session.scalar(numbers), await session.scalar(cached), await session.scalar(cached)
        await session.commit()
        return got

    @actor
    async def bob(self, session) -> int:
        await session.execute(text("""DELETE FROM "Odd ""table"" name" """))
        await session.execute(text("""UPDATE "Other place".guarded SET id = 77"""))
        key = await session.scalar(insert(values).values(words="mine").returning(values.c.id))
        await session.commit()
        return key


@dataclass(frozen=True)
class Untouched(Full):
    """The same tables, only read: its final rows are what `setup` made."""

    @actor
    async def alice(self, session) -> list[object]:
        rows = await session.execute(select(values).order_by(values.c.id))
        return [tuple(row) for row in rows]

    @actor
    async def bob(self, session) -> None:
        await session.execute(select(odd))


async def test_every_kind_of_table_and_value_comes_back(explorer):
    before = await explorer.run(Untouched(), Order())
    assert [row[1] for row in before.outcome.results["alice"].value] == ODDITIES
    spoilt = await explorer.run(Full(), Order())
    assert spoilt.outcome.rows["tree"] == ()
    assert spoilt.outcome.rows["a_child"] == ("(2,)",)
    after = await explorer.run(Untouched(), Order())
    assert after.same_as(before)
    row = after.outcome.results["alice"].value[3]
    assert row[1:7] == (
        "back\\slash",
        b"\x00\\'\xff\x03",
        ["a,b", '"', None, "{}", "\\"],
        {"a": [1, None, "'\\\""]},
        {"b": "☃"},
        Colour.BLUE,
    )
    assert (row[9], row[10]) == (decimal.Decimal("123456789.0123456789"), 0.1 + 0.2)
    assert row[-1] == "back\\slashback\\slash"


async def test_sequences_and_identity_columns_start_at_the_same_number_each_time(explorer):
    results = [await explorer.run(Full(), Order()) for _ in range(3)]
    numbers = {record.outcome.results["alice"].value for record in results}
    assert numbers == {(11, 1, 2)}, "setup took 10; the cache of a session is no memory"
    assert {record.outcome.results["bob"].value for record in results} == {12}


async def test_restoring_rows_fires_no_trigger(explorer):
    for _ in range(2):
        record = await explorer.run(Untouched(), Order())
        assert record.outcome.rows["guarded"] == ("(1,1)",), "setup's own insert raised it from 0, once"
        assert record.outcome.rows["audit"] == ("(1,INSERT)",)


async def test_tables_of_one_name_in_two_schemas_are_kept_apart(explorer):
    record = await explorer.run(Full(), Order())
    assert record.outcome.rows["guarded"] == ("(1,11)",)
    assert record.outcome.rows["Other place.guarded"] == ("(77)",)


async def test_the_first_execution_equals_all_later_ones(explorer):
    """Types are looked up once for each connection: that must not show."""

    class Typed(Untouched):
        @actor
        async def carol(self, sessions) -> object:
            async with sessions() as one, sessions() as two:
                await one.execute(select(values.c.colour, values.c.binary_document, values.c.list))
                await lab.point("one connection")
                await two.connection()
                await lab.point("two connections")
                return (await two.execute(select(values.c.colour, values.c.range))).first()

    records = []
    for _ in range(4):
        scheduler = make_scheduler("random", 3)
        records.append(await explorer.run(Typed(), scheduler))
    for record in records[1:]:
        assert record.trace.steps == records[0].trace.steps
        assert record.same_as(records[0])


async def test_rows_of_another_setup_do_not_leak_into_the_next(explorer):
    """A setup that draws from a sequence gives the same rows whatever ran before it."""

    @dataclass(frozen=True)
    class Draws(Full):
        start: int = 1

        async def setup(self, session) -> None:
            await session.execute(insert(elsewhere).values(id=await session.scalar(numbers)))

        @actor
        async def alice(self, session) -> None: ...

        @actor
        async def bob(self, session) -> None: ...

    await explorer.run(Full(), Order())
    for start in (1, 2, 3):
        record = await explorer.run(Draws(start=start), Order())
        assert record.outcome.rows["Other place.guarded"] == ("(10)",)


async def test_parameters_hidden_from_repr_still_have_a_setup_of_their_own(explorer):
    @dataclass(frozen=True)
    class Hidden(Full):
        number: int = field(default=0, repr=False)

        async def setup(self, session) -> None:
            await session.execute(insert(parent).values(id=self.number))

        @actor
        async def alice(self, session) -> None: ...

        @actor
        async def bob(self, session) -> None: ...

    for number in (4, 5):
        record = await explorer.run(Hidden(number=number), Order())
        assert record.outcome.rows["z_parent"] == (f"({number})",)


async def test_what_a_session_remembers_is_gone_in_the_next_execution(explorer):
    class Remembers(Untouched):
        @actor
        async def alice(self, session) -> list[object]:
            seen = [
                await session.scalar(text("SELECT to_regclass('pg_temp.mine') IS NULL")),
                await session.scalar(text("SHOW search_path")),
                await session.scalar(text("SELECT count(*) FROM pg_cursors WHERE is_holdable")),
            ]
            await session.execute(text("CREATE TEMP TABLE mine (id int)"))
            await session.execute(text("SET search_path = pg_catalog"))
            await session.execute(text("DECLARE c CURSOR WITH HOLD FOR SELECT 1"))
            await session.execute(text("SET default_transaction_isolation = 'serializable'"))
            await session.commit()
            return seen

    for _ in range(3):
        record = await explorer.run(Remembers(), Order())
        assert record.outcome.results["alice"].value == [True, '"$user", public', 0]


@pytest.mark.parametrize("kind", [Integer, Text, JSON])
async def test_a_column_may_have_any_name(explorer, kind):
    """One named as the lab calls a row stands for itself, and the row for all of it."""
    others = MetaData()
    odd = Table("odd", others, Column("id", Integer, primary_key=True), Column("t", kind), Column("n", Integer))

    class Named(Scenario):
        metadata = others

        async def setup(self, session) -> None:
            await session.execute(insert(odd), [{"id": 1, "t": 5 if kind is Integer else "(x)", "n": 0}])

        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            read = await session.scalar(select(odd.c.n))
            await session.execute(odd.update().values(n=read + 1))
            await session.commit()

        all_is_serial = lab.serializable()

    result = await Hunt.of(Named(), executions=10, refine=False).run(explorer)
    assert result.failures, "a lost update, which final rows show"
    record = await explorer.run(Named(), Order("alice"))
    (row,) = record.outcome.rows["odd"]
    assert (row[:3], row[-3:]) == ("(1,", ",2)")


async def test_large_objects_are_those_that_setup_made(explorer):
    """They belong to no table: what one changed, removed or made is as it was in the next execution."""

    class Stores(Untouched):
        async def setup(self, session) -> None:
            await session.execute(text(r"SELECT lo_from_bytea(4711, '\x00ff'), lo_from_bytea(4712, '')"))

        @actor
        async def alice(self, session) -> list[object]:
            found = await session.execute(text("SELECT oid, lo_get(oid) FROM pg_largeobject_metadata ORDER BY oid"))
            seen = list(map(tuple, found))
            await session.execute(text(r"SELECT lo_put(4711, 0, '\x01'), lo_unlink(4712), lo_create(4713)"))
            await session.commit()
            return seen

    for _ in range(3):
        record = await explorer.run(Stores(), Order())
        assert record.outcome.results["alice"].value == [(4711, b"\x00\xff"), (4712, b"")]
    database, snapshot = await explorer._databases.ready(Stores())
    for _ in range(2):
        await database.tables.restore(snapshot)  # the database is not made anew for them


@pytest.mark.parametrize("times", [3])
async def test_rows_lie_in_the_same_physical_order_each_time(explorer, times):
    """An unsorted scan meets rows where they lie, so a bulk update locks them in that order."""

    class Scans(Full):
        @actor
        async def bob(self, session) -> list[str]:
            return list(await session.scalars(text("SELECT ctid::text || id FROM tree")))

    scheduler = make_scheduler("random", 1)
    found = set()
    for number in range(times):
        await explorer.run(Full(), scheduler, execution=number)
        record = await explorer.run(Scans(), Order("bob"))
        found.add(tuple(record.outcome.results["bob"].value))
    assert found == {("(0,1)5", "(0,2)2", "(0,3)3")}


async def test_the_data_folder_is_bounded(server, explorer, monkeypatch):
    """The files that TRUNCATE leaves go at a checkpoint, and resets make one at a fixed count."""
    monkeypatch.setattr(reset, "CHECKPOINT_EVERY", 10)

    def files() -> int:
        return sum(len(names) for _, _, names in os.walk(server.folder))

    database, snapshot = await explorer._databases.ready(Full())
    most = []
    for _ in range(6):
        seen = []
        for _ in range(10):
            await database.tables.restore(snapshot)
            seen.append(files())
        most.append(max(seen))
    assert max(most[2:]) <= most[1] * 1.05
    assert max(seen) - min(seen) > 50, "each reset made files, so the bound is the checkpoint's"
