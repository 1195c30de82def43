"""Statements whose construct does not say which rows they write pause between the rows that they were seen to write."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from helpers.decided import said
from helpers.kit import Order, replays, searched
from sqlalchemy import DDL, Column, Computed, Integer, MetaData, Table, bindparam, event, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from lab import Scenario, actor
from lab.model.decision import Pause
from lab.postgres.statements.met import Met, MetRow, MetRows
from lab.schedulers.dpor import Dpor

METADATA = MetaData()
ITEM = Table(
    "item",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("n", Integer),
    Column("twice", Integer, Computed("n * 2")),
)
ORDERED = Table(
    "ordered", METADATA, Column("id", Integer, primary_key=True), Column("a", Integer), Column("b", Integer)
)
BUMP = "UPDATE item SET n = n + 1 WHERE id = a; UPDATE item SET n = n + 1 WHERE id = b;"
for made in (
    f"CREATE FUNCTION bump(a int, b int) RETURNS void LANGUAGE plpgsql AS $$BEGIN {BUMP} END$$",
    "CREATE FUNCTION bumps() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM bump(NEW.a, NEW.b); RETURN NEW; END$$",
    "CREATE TRIGGER bumps AFTER INSERT ON ordered FOR EACH ROW EXECUTE FUNCTION bumps()",
):
    event.listen(METADATA, "after_create", DDL(made))


async def driver(session):
    return (await (await session.connection()).get_raw_connection()).driver_connection


async def inserts(session, order):
    await session.execute(insert(ITEM).values([{"id": number + 10, "n": 1} for number in order]))


async def upserts(session, order):
    rows = upsert(ITEM).values([{"id": number, "n": 1} for number in order])
    await session.execute(rows.on_conflict_do_update(index_elements=["id"], set_={"n": ITEM.c.n + rows.excluded.n}))


async def upserts_new_rows(session, order):
    rows = upsert(ITEM).values([{"id": number + 10, "n": 1} for number in order])
    await session.execute(rows.on_conflict_do_nothing())


async def updates_many(session, order):
    one = update(ITEM).where(ITEM.c.id == bindparam("i")).values(n=ITEM.c.n + 1)
    await (await session.connection()).execute(one, [{"i": number} for number in order])


async def updates_many_by_driver(session, order):
    one = "UPDATE item SET n = n + 1 WHERE id = $1"
    await (await driver(session)).executemany(one, [(number,) for number in order])


async def copies(session, order):
    records = [(number + 10, 1) for number in order]
    await (await driver(session)).copy_records_to_table("item", records=records, columns=["id", "n"])


async def updates_in_text(session, order):
    way = "ASC" if order == [1, 2, 3] else "DESC"
    found = f"(SELECT id FROM item ORDER BY id {way} FOR UPDATE) o"
    await session.execute(text(f"UPDATE item SET n = item.n + 1 FROM {found} WHERE o.id = item.id"))


async def calls(session, order):
    await session.execute(text(f"SELECT bump({order[0]}, {order[-1]})"))


async def triggers(session, order):
    await session.execute(insert(ORDERED).values(id=order[0], a=order[0], b=order[-1]))


async def does(session, order):
    first, last = (f"UPDATE item SET n = n + 1 WHERE id = {number};" for number in (order[0], order[-1]))
    await session.execute(text(f"DO $$BEGIN {first} {last} END$$"))


WAYS = [
    *(inserts, upserts, upserts_new_rows, updates_many, updates_many_by_driver, copies, updates_in_text, calls),
    *(triggers, does),
]


@dataclass(frozen=True)
class Both(Scenario):
    """Two who write the same three rows in one statement each."""

    metadata = METADATA
    way: int = 0
    ordered: bool = False

    async def setup(self, session):
        await session.execute(insert(ITEM), [{"id": number, "n": 0} for number in (1, 2, 3)])

    @actor
    async def up(self, session):
        await WAYS[self.way](session, [1, 2, 3])
        await session.commit()

    @actor
    async def down(self, session):
        await WAYS[self.way](session, [1, 2, 3] if self.ordered else [3, 2, 1])
        await session.commit()


@pytest.mark.parametrize("way", range(len(WAYS)), ids=[each.__name__ for each in WAYS])
async def test_it_pauses_between_two_rows_and_the_same_deadlock_comes_each_time(explorer, way):
    record = await explorer.run(Both(way), Order("pause2@up down up"))
    first, waits, refused = record.trace.steps[:3]
    assert first.wait.holders == ("a breakpoint",)
    assert waits.wait.holders == ("up",)
    assert refused.result.error == "40P01"
    assert not record.failed  # a deadlock may always be
    assert await replays(explorer, record, times=5)


@pytest.mark.parametrize("way", range(len(WAYS)), ids=[each.__name__ for each in WAYS])
async def test_in_one_order_nobody_is_refused_for_a_deadlock(explorer, way):
    """By every order of steps and breakpoints."""
    errors, pauses = set(), 0
    async for record in searched(explorer, Both(way, ordered=True), Dpor()):
        errors.update(step.result.error for step in record.trace if step.result)
        pauses += any("@" in each for step in record.trace for each in said([step.chosen]))
    assert pauses
    assert errors <= {"", None, "23505"}


async def test_a_statement_that_would_notice_is_never_paused(explorer):
    """NOWAIT, in its text or in a function; a level at which a pause may change who is refused; a timer."""

    class Notices(Both):
        @actor
        async def up(self, session) -> None:
            await session.execute(text("SET LOCAL lock_timeout = '1s'"))
            await calls(session, [1, 3])
            await session.commit()

    for scenario, level in ((Notices(WAYS.index(calls)), None), (Both(WAYS.index(calls)), "SERIALIZABLE")):
        record = await explorer.run(scenario, Order("up up"), isolation=level)
        offered = said(each for step in record.trace for each in step.alternatives)
        assert not any("@up" in each for each in offered)


async def test_rows_of_one_set_of_parameters_are_not_those_of_another(explorer):
    """Which rows are written is known for the very statement that was seen."""
    await explorer.run(Both(0), Order())
    record = await explorer.run(Both(WAYS.index(calls)), Order())
    offered = {each for each in said(record.trace.steps[0].alternatives) if "@" in each}
    assert offered == {"pause1@up", "pause2@up", "pause1@down", "pause2@down"}


class TwoFlushes(Scenario):
    """Each reads both rows and flushes both: one statement, executed for each row, with values that were read."""

    metadata = METADATA

    async def setup(self, session):
        await session.execute(insert(ITEM), [{"id": number, "n": 0} for number in (1, 2)])

    async def _move(self, session, order):
        read = {row.id: row.n for row in await session.execute(select(ITEM.c.id, ITEM.c.n))}
        one = update(ITEM).where(ITEM.c.id == bindparam("i")).values(n=bindparam("m"))
        rows = [{"i": number, "m": read[number] + 10 * number + place} for place, number in enumerate(order)]
        await (await session.connection()).execute(one, rows)
        await session.commit()

    @actor
    async def up(self, session):
        await self._move(session, [1, 2])

    @actor
    async def down(self, session):
        await self._move(session, [2, 1])


async def test_with_other_parameters_the_rows_are_where_the_parameters_place_them(explorer):
    """The values were never seen: the other one has committed before they were read."""
    record = await explorer.run(TwoFlushes(), Order("down down down"))
    assert "pause2@up" not in said(record.trace.steps[2].alternatives)
    offered = [each for step in record.trace for each in step.alternatives if isinstance(each, Pause)]
    assert {(each.actor, each.place) for each in offered} == {("up", 2), ("down", 2)}
    record = await explorer.run(TwoFlushes(), Order("up down pause2@up down up"))
    assert [step.result.error for step in record.trace if step.result and step.result.error] == ["40P01"]


def _seen(parameters, *rows):
    made = [MetRow("t", "t", ('"id"',), ('"id"', '"n"'), json.dumps(each), ("id",)) for each in rows]
    return "UPDATE", parameters, Met(tuple(made))


@pytest.mark.parametrize(
    ("seen", "parameters", "keys"),
    [
        ([_seen([(9, 1), (8, 2)], {"id": 1, "n": 9}, {"id": 2, "n": 8})], [(7, 2), (6, 1)], ["id=2", "id=1"]),
        ([_seen([(9, 1), (8, 2)], {"id": 1, "n": 9}, {"id": 2, "n": 8})], [(7, 5)], None),
        ([_seen([(1, 1), (2, 2)], {"id": 1, "n": 1}, {"id": 2, "n": 2})], [(2, 1), (1, 2)], None),
        ([_seen([(1, 1), (2, 2)], {"id": 1, "n": 1}, {"id": 2, "n": 2})], [(4, 4), (3, 3)], ["id=4", "id=3"]),
        ([_seen((4, 5), {"id": 4, "n": 0}, {"id": 5, "n": 0})], (7, 6), ["id=7", "id=6"]),
        ([_seen((9,), {"id": 4, "n": 0}, {"id": 5, "n": 0})], (7,), None),
        (
            [_seen((each,), {"id": 4, "n": each}, {"id": 5, "n": each}) for each in (8, 9)],
            (7,),
            ["id=4", "id=5"],
        ),
        (
            [_seen((each,), {"id": each + 1, "n": 0}, {"id": 5, "n": 0}) for each in (8, 9)],
            (7,),
            None,
        ),
    ],
    ids=["places", "one", "either of two", "both alike", "flat", "seen once", "always the same", "computed"],
)
def test_where_parameters_place_rows(seen, parameters, keys):
    """Each value of a key was a parameter, the same one each time; or it was the same with several parameters."""
    met = MetRows(seen).rows_of("UPDATE", parameters)
    assert (None if met is None else [row.text for row in met.rows]) == keys
    assert MetRows(seen).rows_of("DELETE", parameters) is None
