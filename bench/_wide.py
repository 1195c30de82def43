"""Random programs over all that hides what a statement touches, for `reduction.py --wide`.

The tables have what no construct shows: rules, triggers, functions, children, partitions, generated columns, keys over
expressions and under conditions, constraints that are deferred, a sequence with two users. A program is drawn from its
seed, so the same seed is the same program in every process.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Computed,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from lab import Scenario, actor

__all__ = ["ThreeWide", "TwoWide"]

SCHEMA = """
CREATE TABLE a (id int PRIMARY KEY, n int, u int UNIQUE);
CREATE TABLE kid (id int PRIMARY KEY, a_id int REFERENCES a ON DELETE CASCADE);
CREATE TABLE loose (id int PRIMARY KEY, a_id int REFERENCES a ON DELETE SET NULL);
CREATE TABLE late (id int PRIMARY KEY, a_id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE part (id int PRIMARY KEY, active bool, k int);
CREATE UNIQUE INDEX ON part (k) WHERE active;
CREATE TABLE named (id int PRIMARY KEY, name text);
CREATE UNIQUE INDEX ON named (lower(name));
CREATE TABLE gen (id int PRIMARY KEY, n int, half int GENERATED ALWAYS AS (n / 2) STORED UNIQUE);
CREATE TABLE span (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&));
CREATE TABLE turned (id int PRIMARY KEY, k int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE log (n int);
CREATE TABLE ruled (id int PRIMARY KEY, n int);
CREATE RULE ruled_log AS ON INSERT TO ruled DO ALSO INSERT INTO log VALUES (new.n);
CREATE TABLE watched (id int PRIMARY KEY, n int);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS
  $$BEGIN UPDATE a SET n = n + 1 WHERE id = NEW.id; RETURN NEW; END$$;
CREATE TRIGGER watch AFTER UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION watch();
CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT sum(n) FROM a';
CREATE FUNCTION bump(i int) RETURNS void LANGUAGE sql AS 'UPDATE a SET n = n + 1 WHERE id = i';
CREATE TABLE elder (id int PRIMARY KEY, n int);
CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (elder);
CREATE TABLE cut (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
CREATE TABLE cut_one PARTITION OF cut FOR VALUES FROM (0) TO (2);
CREATE TABLE cut_two PARTITION OF cut FOR VALUES FROM (2) TO (9);
CREATE VIEW seen AS SELECT id, n FROM a WHERE n >= 0;
CREATE SEQUENCE shared;
CREATE TABLE first_user (id int PRIMARY KEY DEFAULT nextval('shared'), n int);
CREATE TABLE second_user (id int PRIMARY KEY DEFAULT nextval('shared'), n int);
CREATE FUNCTION few() RETURNS bool LANGUAGE sql AS 'SELECT count(*) < 3 FROM log';
CREATE TABLE checked (id int PRIMARY KEY, n int, CHECK (few()))
"""
ROWS = """
INSERT INTO a VALUES (1, 1, 1), (2, 2, 2);
INSERT INTO kid VALUES (1, 1), (2, 2);
INSERT INTO loose VALUES (1, 1), (2, 2);
INSERT INTO part VALUES (1, true, 1), (2, false, 1);
INSERT INTO named VALUES (1, 'One');
INSERT INTO gen VALUES (1, 1), (2, 2);
INSERT INTO span VALUES (1, '[1,3)');
INSERT INTO turned VALUES (1, 1), (2, 2);
INSERT INTO watched VALUES (1, 1), (2, 2);
INSERT INTO elder VALUES (1, 1);
INSERT INTO heir VALUES (2, 2);
INSERT INTO cut VALUES (1, 1), (2, 2)
"""
M = MetaData()


def _table(name: str, *columns: str, keyed: bool = True) -> Table:
    own = (Column("id", Integer, primary_key=True, autoincrement=False),) if keyed else ()
    return Table(name, M, *own, *(Column(each, Text if each == "name" else Integer) for each in columns))


A, KID, LOOSE, LATE = _table("a", "n", "u"), _table("kid", "a_id"), _table("loose", "a_id"), _table("late", "a_id")
PART, NAMED, TURNED = _table("part", "k"), _table("named", "name"), _table("turned", "k")
GEN = Table("gen", M, Column("id", Integer, primary_key=True), Column("n", Integer), Column("half", Computed("n / 2")))
RULED, WATCHED, ELDER, HEIR = (_table(name, "n") for name in ("ruled", "watched", "elder", "heir"))
CUT, CUT_ONE, SEEN, CHECKED = (_table(name, "n") for name in ("cut", "cut_one", "seen", "checked"))
LOG = _table("log", "n", keyed=False)
AGAIN = Table("a", MetaData(), Column("id", Integer), Column("n", Integer))
"""The first table once more, by somebody who knows nothing of its keys."""

Make = Callable[[int, int], Any]
"""From an id and another number to a statement."""
STATEMENTS: dict[str, Make] = {
    "read by key": lambda i, k: select(A.c.n).where(A.c.id == i),
    "read all": lambda i, k: select(A.c.id, A.c.n).order_by(A.c.id),
    "count": lambda i, k: select(func.count()).select_from(A).where(A.c.n > k),
    "join": lambda i, k: select(A.c.n, KID.c.id).join_from(A, KID, A.c.id == KID.c.a_id).where(A.c.id == i),
    "exists": lambda i, k: select(A.c.n).where(exists().where(KID.c.a_id == A.c.id), A.c.id == i),
    "scalar subquery": lambda i, k: select(A.c.n, select(func.count(KID.c.id)).scalar_subquery()).where(A.c.id == i),
    "lock in a subquery": lambda i, k: select(select(A.c.n).where(A.c.id == i).with_for_update().subquery()),
    "delete in a CTE": lambda i, k: select(delete(KID).where(KID.c.id == i).returning(KID.c.id).cte("gone").c.id),
    "insert from a query": lambda i, k: insert(LOG).from_select(["n"], select(A.c.n).where(A.c.id == i)),
    "upsert nothing": lambda i, k: upsert(A).values(id=k, n=k, u=k).on_conflict_do_nothing(),
    "upsert": lambda i, k: (
        upsert(A).values(id=k, n=9, u=k).on_conflict_do_update(index_elements=["id"], set_={"n": A.c.n + 1})
    ),
    "update by key": lambda i, k: update(A).where(A.c.id == i).values(n=A.c.n + 1),
    "update by other column": lambda i, k: update(A).where(A.c.n == k).values(n=A.c.n + 1),
    "update of a unique column": lambda i, k: update(A).where(A.c.id == i).values(u=k),
    "update from a query": lambda i, k: (
        update(KID).where(KID.c.id == i).values(a_id=select(func.max(A.c.id)).scalar_subquery())
    ),
    "update of a child": lambda i, k: update(KID).where(KID.c.id == i).values(a_id=k),
    "delete a parent": lambda i, k: delete(A).where(A.c.id == i),
    "insert a child": lambda i, k: insert(KID).values(id=k + 3, a_id=i),
    "insert a loose child": lambda i, k: insert(LOOSE).values(id=k + 3, a_id=i),
    "read loose children": lambda i, k: select(LOOSE.c.id, LOOSE.c.a_id).order_by(LOOSE.c.id),
    "insert a child that is checked late": lambda i, k: insert(LATE).values(id=k + 3, a_id=i),
    "activate": lambda i, k: text(f"UPDATE part SET active = NOT active WHERE id = {i}"),
    "insert under a partial key": lambda i, k: insert(PART).values(id=k + 2, k=i),
    "insert under an expression": lambda i, k: insert(NAMED).values(id=k + 3, name=("ONE", "two", "TWO")[k - 1]),
    "update a generated key": lambda i, k: update(GEN).where(GEN.c.id == i).values(n=k + 1),
    "insert a span": lambda i, k: text(f"INSERT INTO span VALUES ({k + 3}, '[{k},{k + 2})')"),
    "update a late key": lambda i, k: update(TURNED).where(TURNED.c.id == i).values(k=3 - i),
    "insert by a rule": lambda i, k: insert(RULED).values(id=k, n=i),
    "read the log": lambda i, k: select(LOG.c.n).order_by(LOG.c.n),
    "update with a trigger": lambda i, k: update(WATCHED).where(WATCHED.c.id == i).values(n=WATCHED.c.n + 1),
    "function that reads": lambda i, k: select(KID.c.a_id, literal_column("total()")).where(KID.c.id == i),
    "function that writes": lambda i, k: select(func.bump(i)),
    "read a parent table": lambda i, k: select(func.sum(ELDER.c.n)),
    "update a child table": lambda i, k: update(HEIR).where(HEIR.c.id == 2).values(n=HEIR.c.n + 1),
    "update a parent table": lambda i, k: update(ELDER).where(ELDER.c.id == i).values(n=ELDER.c.n + 1),
    "update a partition": lambda i, k: update(CUT_ONE).where(CUT_ONE.c.id == 1).values(n=CUT_ONE.c.n + 1),
    "update the whole of partitions": lambda i, k: update(CUT).where(CUT.c.id == i).values(n=CUT.c.n + 1),
    "read partitions": lambda i, k: select(func.sum(CUT.c.n)),
    "update a view": lambda i, k: update(SEEN).where(SEEN.c.id == i).values(n=SEEN.c.n + 1),
    "read a view": lambda i, k: select(SEEN.c.n).where(SEEN.c.id == i),
    "draw a number": lambda i, k: text("SELECT nextval('shared')"),
    "insert of the first user": lambda i, k: text(f"INSERT INTO first_user (n) VALUES ({k}) RETURNING id"),
    "insert of the second user": lambda i, k: text(f"INSERT INTO second_user (n) VALUES ({k}) RETURNING id"),
    "insert under a check that reads": lambda i, k: insert(CHECKED).values(id=k, n=i),
    "lock": lambda i, k: select(A.c.n).where(A.c.id == i).with_for_update(),
    "lock for share": lambda i, k: select(A.c.n).where(A.c.id == i).with_for_update(read=True),
    "lock the key": lambda i, k: select(A.c.n).where(A.c.id == i).with_for_update(key_share=True, read=True),
    "lock all but the key": lambda i, k: select(A.c.n).where(A.c.id == i).with_for_update(key_share=True),
    "lock at once": lambda i, k: select(A.c.n).where(A.c.id == i).with_for_update(nowait=True),
    "lock what is free": lambda i, k: select(A.c.id).order_by(A.c.id).limit(1).with_for_update(skip_locked=True),
    "lock a table": lambda i, k: text(f"LOCK TABLE a IN {('SHARE', 'EXCLUSIVE', 'ROW SHARE')[k - 1]} MODE"),
    "advisory lock": lambda i, k: select(func.pg_advisory_xact_lock(i)),
    "advisory lock at once": lambda i, k: select(func.pg_try_advisory_xact_lock(i)),
    "update in text": lambda i, k: text("UPDATE a SET n = n + 1 WHERE id = :i").bindparams(bindparam("i", i)),
    "read in text": lambda i, k: text("SELECT n FROM a WHERE u = :i").bindparams(bindparam("i", i)),
    "update by another name": lambda i, k: update(AGAIN).where(AGAIN.c.id == i).values(n=AGAIN.c.n + 1),
    "read by another name": lambda i, k: select(AGAIN.c.n).where(AGAIN.c.id == i),
}


@dataclass(frozen=True)
class TwoWide(Scenario):
    """Two transactions of one to three random statements; both often about the same tables."""

    seed: int = 0
    breakpoints = False
    allows = (DBAPIError,)

    async def schema(self, connection: AsyncConnection) -> None:
        """All the tables."""
        for each in SCHEMA.split(";\n"):
            await connection.execute(text(each))

    async def setup(self, session: AsyncSession) -> None:
        """A few rows in each."""
        for each in ROWS.split(";\n"):
            await session.execute(text(each))

    def program(self, name: str) -> Sequence[tuple[str, Any]]:
        """The statements of an actor: (name, statement)."""
        shared = random.Random(self.seed)
        pool = shared.sample(sorted(STATEMENTS), 3)
        chance = random.Random(f"{self.seed} {name}")
        names = chance.choices(pool, k=chance.choice(self.lengths()))
        return [(each, STATEMENTS[each](chance.randint(1, 2), chance.randint(1, 3))) for each in names]

    def lengths(self) -> Sequence[int]:
        """How many statements an actor may have."""
        return 1, 2, 2, 2, 3

    @actor(names=("ann", "ben"))
    async def work(self, session: AsyncSession, name: str) -> list[object]:
        """Execute the program, with a savepoint around one statement in eight, and commit or roll back."""
        chance = random.Random(f"end {self.seed} {name}")
        seen: list[object] = []
        for _, statement in self.program(name):
            if chance.random() < 0.125:
                nested = await session.begin_nested()
                seen.append(_answer(await session.execute(statement)))
                await (nested.rollback() if chance.random() < 0.5 else nested.commit())
            else:
                seen.append(_answer(await session.execute(statement)))
        await (session.rollback() if chance.random() < 0.15 else session.commit())
        return seen


@dataclass(frozen=True)
class ThreeWide(TwoWide):
    """Three transactions of one statement, seldom two."""

    def lengths(self) -> Sequence[int]:
        """Mostly one."""
        return 1, 1, 1, 2

    @actor(names=("ann", "ben", "cat"))
    async def work(self, session: AsyncSession, name: str) -> list[object]:
        """The same."""
        return await super().work(session, name)


def _answer(result: Any) -> object:
    return [tuple(row) for row in result] if result.returns_rows else result.rowcount
