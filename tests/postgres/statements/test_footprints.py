"""What a real statement is said to touch."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from sqlalchemy import (
    CHAR,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import CITEXT, ExcludeConstraint
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, joinedload, mapped_column, relationship

from lab import Scenario, actor
from lab.model.footprint import Access, Footprint, Lock
from lab.model.trace import ActionKind
from lab.postgres.statements.construct import bindings_of
from lab.postgres.statements.footprints import footprint_of
from lab.postgres.statements.pieces import Piece, checks_more_than_values, key_of
from lab.postgres.statements.shapes import declared
from lab.schedulers.guided import Guided


class Base(DeclarativeBase):
    """Owners and their things."""


class Owner(Base):
    __tablename__ = "owner"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(unique=True)
    total: Mapped[int] = mapped_column(default=0)
    things: Mapped[list[Thing]] = relationship()


class Thing(Base):
    __tablename__ = "thing"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owner.id", ondelete="CASCADE"))
    size: Mapped[int]


ODD = MetaData()
KEPT = Table("kept", ODD, Column("id", Integer, primary_key=True), Column("name", String), Column("gone", Boolean))
CHECKS = {
    "a unique index over some rows": (Index("a", KEPT.c.name, unique=True, postgresql_where=~KEPT.c.gone), True),
    "a unique index over an expression": (Index("b", func.lower(KEPT.c.name), unique=True), True),
    "what is checked at the COMMIT": (UniqueConstraint("name", deferrable=True, initially="DEFERRED"), True),
    "an exclusion": (ExcludeConstraint((KEPT.c.name, "=")), True),
    "a unique index": (Index("c", KEPT.c.name, unique=True), False),
    "an index": (Index("d", func.lower(KEPT.c.name)), False),
}


@pytest.mark.parametrize("name", CHECKS)
def test_rows_may_clash_by_more_than_their_values(name):
    """Then a write is not understood, and its table has no such key."""
    check, more = CHECKS[name]
    assert checks_more_than_values(check) is more


@pytest.mark.parametrize(
    ("kind", "value", "known"),
    [
        (String(), "a", True),
        (CITEXT(), "a", False),
        (CHAR(3), "a", False),
        (String(collation="de-x-icu"), "a", False),
        (Integer(), 1, True),
        (DateTime(timezone=True), dt.datetime(2026, 1, 1, tzinfo=dt.UTC), False),
        (Date(), dt.date(2026, 1, 1), True),
    ],
    ids=str,
)
def test_a_key_is_known_where_equal_texts_are_equal_values(kind, value, known):
    """Two spellings of one value must not pass for two rows."""
    table = Table("t", MetaData(), Column("x", kind))
    condition = table.c.x == value
    compiled = select(table).where(condition).compile()
    key = key_of(bindings_of(condition, compiled), table)
    filled = Piece("t", Lock.NONE, reads=True, writes=False, key=key).filled(compiled.params)
    assert bool(filled.rows.key) is known


STATEMENTS: list = []
"""What the one actor executes now."""


@dataclass(frozen=True)
class Runs(Scenario):
    """Two actors, since a scenario needs them; one executes."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Owner(id=1, name="a"), Owner(id=2, name="b")])
        await session.flush()
        session.add(Thing(owner_id=1, size=3))

    @actor
    async def ann(self, session: AsyncSession) -> None:
        async with session.begin():
            for statement in STATEMENTS:
                await session.execute(statement)

    @actor
    async def ben(self, session: AsyncSession) -> None:
        pass


def shown(access: Access) -> str:
    key = ",".join(f"{column}={'|'.join(sorted(values))}" for column, values in access.rows.key)
    flags = "".join(flag for flag, given in (("R", access.reads), ("W", access.writes), ("S", access.scans)) if given)
    return f"{access.rows.table}[{key}] {access.lock.name} {flags}".strip()


async def footprints(explorer, *statements) -> list[Footprint | None]:
    STATEMENTS[:] = statements
    record = await explorer.run(Runs(), Guided([]))
    return [step.action.footprint for step in record.trace if step.actor == "ann"]


OTHER = aliased(Owner)
EXPECTED = {
    "a row by its key": (select(Owner).where(Owner.id == 1), ["owner[id=int:1] NONE R"]),
    "rows by a list of keys": (select(Owner).where(Owner.id.in_([1, 2])), ["owner[id=int:1|int:2] NONE RS"]),
    "a sorted list locks in order": (
        select(Owner).where(Owner.id.in_([1, 2])).order_by(Owner.id).with_for_update(),
        ["owner[id=int:1|int:2] UPDATE R"],
    ),
    "a predicate": (select(Owner).where(Owner.total > 5), ["owner[] NONE RS"]),
    "one value of many rows": (select(func.sum(Owner.total)), ["owner[] NONE R"]),
    "shared": (select(Owner).where(Owner.id == 1).with_for_update(read=True), ["owner[id=int:1] SHARE R"]),
    "no key": (
        select(Owner).where(Owner.id == 1).with_for_update(key_share=True),
        ["owner[id=int:1] NO_KEY_UPDATE R"],
    ),
    "skips what is locked": (
        select(Owner).where(Owner.id == 1).with_for_update(skip_locked=True),
        ["owner[] UPDATE RS"],
    ),
    "a join": (
        select(Owner.id, Thing.id).join(Thing).where(Owner.id == 1),
        ["owner[id=int:1] NONE R", "thing[] NONE RS"],
    ),
    "a loader option": (
        select(Owner).where(Owner.id == 1).options(joinedload(Owner.things)).execution_options(populate_existing=True),
        ["owner[] NONE RS", "thing[] NONE RS"],
    ),
    "a subquery looks everywhere": (
        select(Owner.id).where(Owner.id == 1, exists().where(Thing.size > 1)),
        ["owner[] NONE RS", "thing[] NONE RS"],
    ),
    "two roles of one table": (select(OTHER.id).where(OTHER.id == 1), ["owner[] NONE RS"]),
    "an update by key": (
        update(Owner).where(Owner.id == 1).values(total=Owner.total + 1),
        ["owner[id=int:1] NO_KEY_UPDATE RW", "owner!name[] SHARE W"],
    ),
    "an update of what it searches by": (
        update(Thing).where(Thing.size == 3).values(size=4),
        ["thing[] NO_KEY_UPDATE RWS"],
    ),
    "an update of a key": (
        update(Owner).where(Owner.id == 1).values(name="z"),
        ["owner[id=int:1] UPDATE RW", "owner!name[] UPDATE W", "thing[] KEY_SHARE R"],
    ),
    "an insert": (
        insert(Owner).values(id=7, name="g", total=0),
        [
            "owner[id=int:7,name=str:g,total=int:0] UPDATE W",
            "owner!id[id=int:7] UPDATE W",
            "owner!name[name=str:g] UPDATE W",
        ],
    ),
    "a child": (
        insert(Thing).values(owner_id=2, size=1),
        [
            "thing[owner_id=int:2,size=int:1] UPDATE W",
            "thing!id[] UPDATE W",
            "owner[id=int:2] KEY_SHARE",
        ],
    ),
    "a cascade": (
        delete(Owner).where(Owner.id == 1),
        ["owner[id=int:1] UPDATE RW", "owner!name[] SHARE W", "thing[] UPDATE RWS"],
    ),
    "an insert that may yield": (
        upsert(Owner).values(id=1, name="a", total=0).on_conflict_do_nothing(),
        ["owner[] UPDATE RWS", "owner!id[] UPDATE RW", "owner!name[] UPDATE RW"],
    ),
    "text": (text("SELECT 1"), []),
    "text that reads": (text("SELECT name FROM owner WHERE id = 1"), ["owner[] NONE RS"]),
    "text that writes": (text("UPDATE owner SET total = 1 WHERE id = 1"), ["owner[] UPDATE RWS"]),
    "a function that may do anything": (select(func.pg_advisory_xact_lock(1)), None),
}


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_statement_touches(explorer, name):
    statement, expected = EXPECTED[name]
    footprint, end = await footprints(explorer, statement)
    if expected is None:
        assert footprint is None
        assert end is None, "what a transaction did is not known either"
    else:
        assert footprint is not None
        assert sorted(map(shown, footprint.accesses)) == sorted(expected)
        assert end is not None
        assert end.held == footprint.accesses


async def test_values_are_those_of_each_execution_though_the_statement_is_cached(explorer):
    first, second, _ = await footprints(
        explorer, select(Owner).where(Owner.id == 1), select(Owner).where(Owner.id == 2)
    )
    assert first is not None
    assert second is not None
    assert [shown(first.accesses[0]), shown(second.accesses[0])] == ["owner[id=int:1] NONE R", "owner[id=int:2] NONE R"]
    assert (first.snapshot, second.snapshot) == (True, False)
    assert second.held == first.accesses


async def test_the_level_is_the_one_that_the_transaction_runs_at(explorer):
    STATEMENTS[:] = [select(Owner).where(Owner.id == 1)]
    for level in ("READ COMMITTED", "SERIALIZABLE"):
        record = await explorer.run(Runs(), Guided([]), isolation=level)
        levels = {step.action.footprint.level for step in record.trace if step.action.footprint is not None}
        assert levels == {level}
        assert [step.action.kind for step in record.trace] == [ActionKind.STATEMENT, ActionKind.COMMIT]


@pytest.mark.parametrize(("table", "understood"), [(KEPT, False), (Owner.__table__, True)], ids=["odd", "plain"])
def test_a_write_where_rows_clash_by_more_is_not_understood(table, understood):
    """In what way it may clash cannot be told from its values, so it counts as touching everything."""
    compiled = insert(table).values(id=1).compile()
    context = SimpleNamespace(compiled=compiled, compiled_parameters=[compiled.params])
    shapes = dict([declared(KEPT, ""), declared(Owner.__table__, "")])
    assert (footprint_of(context, shapes)() is not None) is understood
