"""What no construct shows: reduction finds the outcomes to which it leads, since it asks what statements touched."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.kit import searched
from sqlalchemy import DDL, Column, Integer, MetaData, Table, event, func, insert, literal_column, select, text, update
from sqlalchemy.exc import DBAPIError

from lab import Scenario, actor
from lab.schedulers import make_scheduler
from lab.schedulers.dpor import Dpor

METADATA = MetaData()


def _table(name: str, **options) -> Table:
    columns = Column("id", Integer, primary_key=True, autoincrement=False), Column("n", Integer)
    return Table(name, METADATA, *columns, **options)


A, B, LOGGED, WATCHED, ELDER = (_table(name) for name in ("a", "b", "logged", "watched", "elder"))
HEIR = _table("heir", postgresql_inherits="elder")
VIEW = Table("shown", MetaData(), Column("id", Integer), Column("n", Integer))
AGAIN = Table("a", MetaData(), Column("id", Integer), Column("n", Integer))
for made in (
    "CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT sum(n) FROM a'",
    "CREATE FUNCTION bump(i int) RETURNS void LANGUAGE sql AS 'UPDATE a SET n = n + 1 WHERE id = i'",
    "CREATE RULE logged AS ON INSERT TO logged DO ALSO INSERT INTO b VALUES (new.id, new.n)",
    "CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM bump(NEW.id); RETURN NEW; END$$",
    "CREATE TRIGGER watch AFTER UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION watch()",
    "CREATE VIEW shown AS SELECT id, n FROM a",
):
    event.listen(METADATA, "after_create", DDL(made))

LOCKED = select(A.c.id).where(A.c.id == 2).with_for_update().subquery()
WRITES_A = update(A).where(A.c.id == 1).values(n=A.c.n + 1)
WRITES_SECOND = update(A).where(A.c.id == 2).values(n=A.c.n + 1)
PAIRS = {
    "a lock in a subquery": ((WRITES_A, select(LOCKED.c.id)), (WRITES_SECOND, WRITES_A)),
    "a function that reads": ((select(B.c.n, literal_column("total()")),), (WRITES_A,)),
    "a function that writes": ((select(func.bump(1)),), (select(A.c.n),)),
    "a trigger": ((update(WATCHED).where(WATCHED.c.id == 1).values(n=5),), (select(A.c.n).order_by(A.c.id),)),
    "a rule": ((insert(LOGGED).values(id=3, n=3),), (select(B.c.n).order_by(B.c.id),)),
    "a child": ((update(HEIR).where(HEIR.c.id == 2).values(n=9),), (select(func.sum(ELDER.c.n)),)),
    "a view": ((update(VIEW).where(VIEW.c.id == 1).values(n=7),), (select(A.c.n).where(A.c.id == 1),)),
    "another name": ((update(AGAIN).where(AGAIN.c.id == 1).values(n=7),), (select(A.c.n).where(A.c.id == 1),)),
    "text": ((text("UPDATE a SET n = 7 WHERE id = 1"),), (select(A.c.n).where(A.c.id == 1),)),
    "pages": ((select(A.c.n).where(A.c.id == 1), WRITES_SECOND), (select(A.c.n).where(A.c.id == 2), WRITES_A)),
}


@dataclass(frozen=True)
class Hidden(Scenario):
    """Two transactions that meet where their constructs do not show it."""

    metadata = METADATA
    breakpoints = False
    allows = (DBAPIError,)
    pair: str = ""

    async def setup(self, session):
        for table in (A, B, WATCHED):
            await session.execute(insert(table), [{"id": number, "n": number} for number in (1, 2)])
        await session.execute(insert(ELDER).values(id=1, n=1))
        await session.execute(insert(HEIR).values(id=2, n=2))

    async def _work(self, session, which):
        seen = []
        for statement in PAIRS[self.pair][which]:
            result = await session.execute(statement)
            seen.append([tuple(row) for row in result] if result.returns_rows else result.rowcount)
        await session.commit()
        return seen

    @actor
    async def ann(self, session):
        return await self._work(session, 0)

    @actor
    async def ben(self, session):
        return await self._work(session, 1)


@pytest.mark.parametrize("pair", PAIRS)
async def test_reduction_finds_what_brute_force_finds(plain, pair):
    """Pages only at SERIALIZABLE, where two keys on one page of an index meet."""
    level = "SERIALIZABLE" if pair == "pages" else "READ COMMITTED"
    every, reduced = [
        {record.outcome.digest() async for record in searched(plain, Hidden(pair), scheduler, isolation=level)}
        for scheduler in (make_scheduler("dfs", 0), Dpor())
    ]
    assert reduced == every
    assert len(every) > 1
