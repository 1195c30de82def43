"""The kinds of statement of the wide programs, and the relations that they need.

Each kind says which relations it touches and which of them it changes, so that programs can be drawn whose statements
have something to do with each other. A relation is made only where a kind of the program needs it: emptying a table
costs most of an execution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Computed,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

__all__ = ["DECLARED", "KINDS", "UNDECLARED", "Kind", "Tables", "script"]

RELATIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "a": (
        (),
        (
            "CREATE TABLE a (id int PRIMARY KEY, n int, u int UNIQUE)",
            "CREATE TABLE kid (id int PRIMARY KEY, a_id int REFERENCES a ON DELETE CASCADE)",
            "CREATE TABLE loose (id int PRIMARY KEY, a_id int REFERENCES a ON DELETE SET NULL)",
        ),
        (
            "INSERT INTO a VALUES (1, 1, 1), (2, 2, 2)",
            "INSERT INTO kid VALUES (1, 1), (2, 2)",
            "INSERT INTO loose VALUES (1, 1), (2, 2)",
        ),
    ),
    "kid": (("a",), (), ()),
    "loose": (("a",), (), ()),
    "late": (
        ("a",),
        ("CREATE TABLE late (id int PRIMARY KEY, a_id int REFERENCES a DEFERRABLE INITIALLY DEFERRED)",),
        (),
    ),
    "moved": (
        (),
        (
            "CREATE TABLE base (k int PRIMARY KEY)",
            "CREATE TABLE moved (id int PRIMARY KEY, k int REFERENCES base ON UPDATE CASCADE)",
        ),
        ("INSERT INTO base VALUES (1), (2)", "INSERT INTO moved VALUES (1, 1), (2, 2)"),
    ),
    "tree": (
        (),
        ("CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree)",),
        ("INSERT INTO tree VALUES (1, NULL), (2, 1), (3, NULL)",),
    ),
    "part": (
        (),
        (
            "CREATE TABLE part (id int PRIMARY KEY, active bool DEFAULT true, k int)",
            "CREATE UNIQUE INDEX ON part (k) WHERE active",
        ),
        ("INSERT INTO part VALUES (1, true, 1), (2, false, 1)",),
    ),
    "named": (
        (),
        ("CREATE TABLE named (id int PRIMARY KEY, name text)", "CREATE UNIQUE INDEX ON named (lower(name))"),
        ("INSERT INTO named VALUES (1, 'One')",),
    ),
    "gen": (
        (),
        ("CREATE TABLE gen (id int PRIMARY KEY, n int, half int GENERATED ALWAYS AS (n / 2) STORED UNIQUE)",),
        ("INSERT INTO gen VALUES (1, 1), (2, 2)",),
    ),
    "span": (
        (),
        ("CREATE TABLE span (id int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))",),
        ("INSERT INTO span VALUES (1, '[1,3)')",),
    ),
    "turned": (
        (),
        ("CREATE TABLE turned (id int PRIMARY KEY, k int UNIQUE DEFERRABLE INITIALLY DEFERRED)",),
        ("INSERT INTO turned VALUES (1, 1), (2, 2)",),
    ),
    "log": ((), ("CREATE TABLE log (n int)",), ("INSERT INTO log VALUES (5)",)),
    "ruled": (
        ("log",),
        (
            "CREATE TABLE ruled (id int PRIMARY KEY, n int)",
            "CREATE RULE ruled_log AS ON INSERT TO ruled DO ALSO INSERT INTO log VALUES (new.n)",
        ),
        (),
    ),
    "watched": (
        ("a",),
        (
            "CREATE TABLE watched (id int PRIMARY KEY, n int)",
            """CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN UPDATE a SET n = 2 * n WHERE id = NEW.id; RETURN NEW; END$$""",
            "CREATE TRIGGER watch AFTER UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION watch()",
        ),
        ("INSERT INTO watched VALUES (1, 1), (2, 2)",),
    ),
    "counted": (
        ("log",),
        (
            "CREATE TABLE counted (id int PRIMARY KEY, n int)",
            """CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN NEW.n := (SELECT count(*) FROM log); RETURN NEW; END$$""",
            "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON counted FOR EACH ROW EXECUTE FUNCTION stamp()",
        ),
        ("INSERT INTO counted VALUES (1, 1)",),
    ),
    "total": (("a",), ("CREATE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT sum(n) FROM a'",), ()),
    "bump": (
        ("a",),
        ("CREATE FUNCTION bump(i int) RETURNS int LANGUAGE sql AS 'UPDATE a SET n = n + 3 WHERE id = i RETURNING n'",),
        (),
    ),
    "elder": (
        (),
        ("CREATE TABLE elder (id int PRIMARY KEY, n int)", "CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (elder)"),
        ("INSERT INTO elder VALUES (1, 1)", "INSERT INTO heir VALUES (2, 2)"),
    ),
    "cut": (
        (),
        (
            "CREATE TABLE cut (id int PRIMARY KEY, n int) PARTITION BY RANGE (id)",
            "CREATE TABLE cut_one PARTITION OF cut FOR VALUES FROM (0) TO (2)",
            "CREATE TABLE cut_two PARTITION OF cut FOR VALUES FROM (2) TO (9)",
        ),
        ("INSERT INTO cut VALUES (1, 1), (2, 2)",),
    ),
    "seen": (("a",), ("CREATE VIEW seen AS SELECT id, n FROM a WHERE n >= 0",), ()),
    "kept": (("a",), ("CREATE MATERIALIZED VIEW kept AS SELECT sum(n) AS n FROM a",), ()),
    "numbers": (
        (),
        (
            "CREATE SEQUENCE numbers",
            "CREATE TABLE first_user (id int PRIMARY KEY DEFAULT nextval('numbers'), n int)",
            "CREATE TABLE second_user (id int PRIMARY KEY DEFAULT nextval('numbers'), n int)",
        ),
        (),
    ),
    "serial": ((), ("CREATE TABLE serial (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int)",), ()),
    "checked": (
        ("log",),
        (
            "CREATE FUNCTION few() RETURNS bool LANGUAGE sql AS 'SELECT count(*) < 2 FROM log'",
            "CREATE TABLE checked (id int PRIMARY KEY, n int, CHECK (few()))",
        ),
        (),
    ),
    "advisory": ((), (), ()),
}
"""Name -> (those that it needs, what makes it, its rows)."""


def script(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """What makes these relations and all that they need, and what fills them."""
    found: dict[str, None] = {}

    def add(name: str) -> None:
        for each in RELATIONS[name][0]:
            add(each)
        found[name] = None

    for name in sorted(names):
        add(name)
    return [each for name in found for each in RELATIONS[name][1]], [
        each for name in found for each in RELATIONS[name][2]
    ]


class Tables:
    """The tables as an application knows them: with their keys, or (not `keyed`) without all but the first."""

    def __init__(self, *, keyed: bool) -> None:
        self._metadata = MetaData()
        self._keyed = keyed
        self.a = self._table("a", "n", "u")
        if keyed:
            self.a.append_constraint(UniqueConstraint("u"))
        self.kid = self._table("kid", a_id="CASCADE")
        self.loose = self._table("loose", a_id="SET NULL")
        self.late, self.part, self.turned = (
            self._table("late", "a_id"),
            self._table("part", "k"),
            self._table("turned", "k"),
        )
        self.named, self.moved, self.tree = (
            self._table("named", "name"),
            self._table("moved", "k"),
            self._table("tree", "up"),
        )
        half = Column("half", Integer, Computed("n / 2"), unique=keyed)
        self.gen = Table("gen", self._metadata, _id(), Column("n", Integer), half)
        self.ruled, self.watched, self.counted = (self._table(name, "n") for name in ("ruled", "watched", "counted"))
        self.elder, self.heir, self.cut, self.cut_one = (
            self._table(n, "n") for n in ("elder", "heir", "cut", "cut_one")
        )
        self.seen, self.checked = self._table("seen", "n"), self._table("checked", "n")
        self.log = Table("log", self._metadata, Column("n", Integer))

    def _table(self, name: str, *columns: str, **parents: str) -> Table:
        keys = [
            Column(e, Integer, *([ForeignKey("a.id", ondelete=d)] if self._keyed else [])) for e, d in parents.items()
        ]
        own = [Column(each, Text if each == "name" else Integer) for each in columns]
        return Table(name, self._metadata, _id(), *own, *keys)


def _id() -> Column[Any]:
    return Column("id", Integer, primary_key=True, autoincrement=False)


DECLARED, UNDECLARED = Tables(keyed=True), Tables(keyed=False)
AGAIN = Table("a", MetaData(), Column("id", Integer), Column("n", Integer))
"""The first table once more, by somebody who knows nothing of its keys."""


@dataclass(frozen=True)
class Kind:
    """A kind of statement: what makes one of tables, an id and another number; which relations it touches."""

    make: Callable[[Tables, int, int], Any]
    reads: frozenset[str] = frozenset()
    locks: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    @property
    def touches(self) -> frozenset[str]:
        """All the relations that it has to do with."""
        return self.reads | self.locks | self.writes

    def meets(self, other: Kind) -> bool:
        """Whether one changes what the other touches, or both lock it."""
        return bool(self.writes & other.touches or self.touches & other.writes or self.locks & other.locks)


def _reads(names: str, make: Callable[[Tables, int, int], Any]) -> Kind:
    return Kind(make, reads=frozenset(names.split()))


def _locks(names: str, make: Callable[[Tables, int, int], Any]) -> Kind:
    return Kind(make, locks=frozenset(names.split()))


def _writes(names: str, make: Callable[[Tables, int, int], Any], reads: str = "") -> Kind:
    return Kind(make, reads=frozenset(reads.split()), writes=frozenset(names.split()))


def _sql(sql: str) -> Callable[[Tables, int, int], Any]:
    return lambda t, i, k: text(sql.format(i=i, k=k, o=3 - i))


KINDS: dict[str, Kind] = {
    "read by key": _reads("a", lambda t, i, k: select(t.a.c.n).where(t.a.c.id == i)),
    "read all": _reads("a", lambda t, i, k: select(t.a.c.id, t.a.c.n).order_by(t.a.c.id)),
    "read as they lie": _reads("a", lambda t, i, k: select(t.a.c.id, t.a.c.n)),
    "count": _reads("a", lambda t, i, k: select(func.count()).select_from(t.a).where(t.a.c.n > k)),
    "join": _reads(
        "a kid", lambda t, i, k: select(t.a.c.n, t.kid.c.id).join_from(t.a, t.kid, t.a.c.id == t.kid.c.a_id)
    ),
    "exists": _reads(
        "a kid", lambda t, i, k: select(t.a.c.n).where(exists().where(t.kid.c.a_id == t.a.c.id), t.a.c.id == i)
    ),
    "scalar subquery": _reads(
        "a kid", lambda t, i, k: select(t.a.c.n, select(func.count(t.kid.c.id)).scalar_subquery()).where(t.a.c.id == i)
    ),
    "union": _reads(
        "a log", lambda t, i, k: union_all(select(t.a.c.n).where(t.a.c.id == i), select(func.sum(t.log.c.n)))
    ),
    "window": _reads("a", lambda t, i, k: select(t.a.c.id, func.sum(t.a.c.n).over(order_by=t.a.c.id))),
    "group": _reads("a", lambda t, i, k: select(t.a.c.n % 2, func.count()).group_by(t.a.c.n % 2).order_by(t.a.c.n % 2)),
    "lock in a subquery": _locks(
        "a", lambda t, i, k: select(select(t.a.c.n).where(t.a.c.id == i).with_for_update().subquery())
    ),
    "lock of a join": _locks(
        "a kid",
        lambda t, i, k: select(t.kid.c.id).join_from(t.kid, t.a, t.a.c.id == t.kid.c.a_id).with_for_update(of=t.a),
    ),
    "delete in a CTE": _writes(
        "kid", lambda t, i, k: select(delete(t.kid).where(t.kid.c.id == i).returning(t.kid.c.id).cte("gone").c.id)
    ),
    "update in a CTE": _writes(
        "a", _sql("WITH w AS (UPDATE a SET n = n + {k} WHERE id = {i} RETURNING n) SELECT w.n, a.n FROM w, a")
    ),
    "insert from a query": _writes(
        "log", lambda t, i, k: insert(t.log).from_select(["n"], select(t.a.c.n).where(t.a.c.id == i)), reads="a"
    ),
    "upsert nothing": _writes("a", lambda t, i, k: upsert(t.a).values(id=k, n=k, u=k).on_conflict_do_nothing()),
    "upsert": _writes(
        "a",
        lambda t, i, k: (
            upsert(t.a)
            .values(id=k, n=9, u=k)
            .on_conflict_do_update(index_elements=["id"], set_={"n": t.a.c.n * 2})
            .returning(t.a.c.n)
        ),
    ),
    "upsert of several": _writes(
        "a",
        lambda t, i, k: (
            upsert(t.a)
            .values([{"id": k, "n": 9, "u": k}, {"id": i + 3, "n": i, "u": i + 3}])
            .on_conflict_do_update(index_elements=["id"], set_={"n": t.a.c.n + i})
        ),
    ),
    "insert of several": _writes(
        "a", lambda t, i, k: insert(t.a).values([{"id": each + 3, "n": i, "u": each + 3} for each in (i, 3 - i)])
    ),
    "insert": _writes("a", lambda t, i, k: insert(t.a).values(id=k + 2, n=i, u=i + 2)),
    "insert of a taken key": _writes("a", lambda t, i, k: insert(t.a).values(id=k + 3, n=k, u=i)),
    "delete by another key": _writes("a kid loose", lambda t, i, k: delete(t.a).where(t.a.c.u == i)),
    "update by another key": _writes("a", lambda t, i, k: update(t.a).where(t.a.c.u == i).values(n=t.a.c.n + k)),
    "merge": _writes(
        "a",
        _sql(
            "MERGE INTO a USING (SELECT {k} AS id) AS s ON a.id = s.id WHEN MATCHED THEN UPDATE SET n = 2 * n "
            "WHEN NOT MATCHED THEN INSERT VALUES ({k}, {i}, {k})"
        ),
    ),
    "update by key": _writes("a", lambda t, i, k: update(t.a).where(t.a.c.id == i).values(n=t.a.c.n * 2 + k)),
    "update with an answer": _writes(
        "a", lambda t, i, k: update(t.a).where(t.a.c.id == i).values(n=t.a.c.n + k).returning(t.a.c.n)
    ),
    "update by other column": _writes("a", lambda t, i, k: update(t.a).where(t.a.c.n >= k).values(n=t.a.c.n - 1)),
    "update of all": _writes("a", lambda t, i, k: update(t.a).values(n=t.a.c.n * 2 + k)),
    "update of a unique column": _writes("a", lambda t, i, k: update(t.a).where(t.a.c.id == i).values(u=k)),
    "update from another table": _writes(
        "a", _sql("UPDATE a SET n = a.n + (SELECT count(*) FROM kid WHERE a_id = a.id) WHERE id = {i}"), reads="kid"
    ),
    "update using a join": _writes(
        "kid", lambda t, i, k: update(t.kid).where(t.kid.c.a_id == t.a.c.id, t.a.c.n == k).values(id=i + 5), reads="a"
    ),
    "delete using a join": _writes(
        "kid", lambda t, i, k: delete(t.kid).where(t.kid.c.a_id == t.a.c.id, t.a.c.n <= k), reads="a"
    ),
    "update from a query": _writes(
        "kid",
        lambda t, i, k: update(t.kid).where(t.kid.c.id == i).values(a_id=select(func.max(t.a.c.id)).scalar_subquery()),
        reads="a",
    ),
    "update of a child": _writes("kid", lambda t, i, k: update(t.kid).where(t.kid.c.id == i).values(a_id=k), reads="a"),
    "delete a parent": _writes("a kid loose", lambda t, i, k: delete(t.a).where(t.a.c.id == i)),
    "delete a parent that is checked late": _writes("a late", lambda t, i, k: delete(t.a).where(t.a.c.id == i)),
    "insert a child": _writes("kid", lambda t, i, k: insert(t.kid).values(id=k + 3, a_id=i), reads="a"),
    "insert a loose child": _writes("loose", lambda t, i, k: insert(t.loose).values(id=k + 3, a_id=i), reads="a"),
    "read loose children": _reads("loose", lambda t, i, k: select(t.loose.c.id, t.loose.c.a_id).order_by(t.loose.c.id)),
    "read children": _reads("kid", lambda t, i, k: select(t.kid.c.id, t.kid.c.a_id).order_by(t.kid.c.id)),
    "insert a child that is checked late": _writes(
        "late", lambda t, i, k: insert(t.late).values(id=k + 3, a_id=i), reads="a"
    ),
    "rename a parent": _writes("moved", _sql("UPDATE base SET k = k + 2 + {k} WHERE k = {i}")),
    "read what moves": _reads("moved", lambda t, i, k: select(t.moved.c.k).order_by(t.moved.c.k)),
    "insert below what moves": _writes("moved", lambda t, i, k: insert(t.moved).values(id=k + 3, k=i)),
    "insert a leaf": _writes("tree", lambda t, i, k: insert(t.tree).values(id=k + 3, up=i + 1)),
    "delete a branch": _writes("tree", lambda t, i, k: delete(t.tree).where(t.tree.c.id == i + 1)),
    "activate": _writes("part", _sql("UPDATE part SET active = NOT active WHERE id = {i}")),
    "insert under a partial key": _writes("part", lambda t, i, k: insert(t.part).values(id=k + 2, k=i)),
    "insert under an expression": _writes(
        "named", lambda t, i, k: insert(t.named).values(id=k + 3, name=("ONE", "two", "TWO")[k - 1])
    ),
    "rename": _writes(
        "named", lambda t, i, k: update(t.named).where(t.named.c.id == 1).values(name=("One", "TWO")[i - 1])
    ),
    "update a generated key": _writes("gen", lambda t, i, k: update(t.gen).where(t.gen.c.id == i).values(n=2 * k + 2)),
    "read a generated column": _reads("gen", lambda t, i, k: select(t.gen.c.half).where(t.gen.c.id == i)),
    "insert a span": _writes("span", _sql("INSERT INTO span VALUES ({k} + 3, '[{k},{k}2)')")),
    "free a span": _writes("span", _sql("DELETE FROM span WHERE r @> {k}")),
    "update a late key": _writes("turned", lambda t, i, k: update(t.turned).where(t.turned.c.id == i).values(k=k)),
    "delete a late key": _writes("turned", lambda t, i, k: delete(t.turned).where(t.turned.c.k == i)),
    "insert by a rule": _writes("ruled log", lambda t, i, k: insert(t.ruled).values(id=k, n=i)),
    "insert into the log": _writes("log", lambda t, i, k: insert(t.log).values(n=k)),
    "read the log": _reads("log", lambda t, i, k: select(t.log.c.n).order_by(t.log.c.n)),
    "update with a trigger": _writes(
        "watched a", lambda t, i, k: update(t.watched).where(t.watched.c.id == i).values(n=t.watched.c.n + 1)
    ),
    "insert with a trigger that reads": _writes(
        "counted", lambda t, i, k: insert(t.counted).values(id=k, n=i), reads="log"
    ),
    "function that reads": _reads(
        "a kid total", lambda t, i, k: select(t.kid.c.a_id, literal_column("total()")).where(t.kid.c.id == i)
    ),
    "function that writes": _writes("a bump", lambda t, i, k: select(func.bump(i))),
    "block": _writes("log", _sql("DO $$ BEGIN INSERT INTO log SELECT n FROM a WHERE id = {i}; END $$"), reads="a"),
    "read a parent table": _reads("elder", lambda t, i, k: select(func.sum(t.elder.c.n))),
    "update a child table": _writes(
        "elder", lambda t, i, k: update(t.heir).where(t.heir.c.id == 2).values(n=t.heir.c.n * 2 + k)
    ),
    "update a parent table": _writes(
        "elder", lambda t, i, k: update(t.elder).where(t.elder.c.id == i).values(n=t.elder.c.n + 1)
    ),
    "update a partition": _writes(
        "cut", lambda t, i, k: update(t.cut_one).where(t.cut_one.c.id == 1).values(n=t.cut_one.c.n * 2 + k)
    ),
    "update the whole of partitions": _writes(
        "cut", lambda t, i, k: update(t.cut).where(t.cut.c.id == i).values(n=t.cut.c.n + 1)
    ),
    "move between partitions": _writes("cut", lambda t, i, k: update(t.cut).where(t.cut.c.id == i).values(id=k + 3)),
    "read partitions": _reads("cut", lambda t, i, k: select(func.sum(t.cut.c.n))),
    "update a view": _writes("seen a", lambda t, i, k: update(t.seen).where(t.seen.c.id == i).values(n=t.seen.c.n - k)),
    "read a view": _reads("seen a", lambda t, i, k: select(t.seen.c.n).where(t.seen.c.id == i)),
    "refresh a view": _writes("kept", _sql("REFRESH MATERIALIZED VIEW kept"), reads="a"),
    "read a kept view": _reads("kept", _sql("SELECT n FROM kept")),
    "draw a number": _writes("numbers", _sql("SELECT nextval('numbers')")),
    "set the numbers": _writes("numbers", _sql("SELECT setval('numbers', 1{k})")),
    "insert of the first user": _writes("numbers", _sql("INSERT INTO first_user (n) VALUES ({k}) RETURNING id")),
    "insert of the second user": _writes("numbers", _sql("INSERT INTO second_user (n) VALUES ({k}) RETURNING id")),
    "insert with a generated id": _writes("serial", _sql("INSERT INTO serial (n) VALUES ({k}) RETURNING id")),
    "insert under a check that reads": _writes(
        "checked", lambda t, i, k: insert(t.checked).values(id=k, n=i), reads="log"
    ),
    "lock": _locks("a", lambda t, i, k: select(t.a.c.n).where(t.a.c.id == i).with_for_update()),
    "lock for share": _locks("a", lambda t, i, k: select(t.a.c.n).where(t.a.c.id == i).with_for_update(read=True)),
    "lock the key": _locks(
        "a", lambda t, i, k: select(t.a.c.n).where(t.a.c.id == i).with_for_update(key_share=True, read=True)
    ),
    "lock all but the key": _locks(
        "a", lambda t, i, k: select(t.a.c.n).where(t.a.c.id == i).with_for_update(key_share=True)
    ),
    "lock all rows": _locks("a", lambda t, i, k: select(t.a.c.id, t.a.c.n).with_for_update()),
    "lock at once": _locks("a", lambda t, i, k: select(t.a.c.n).where(t.a.c.id == i).with_for_update(nowait=True)),
    "share at once": _locks(
        "a", lambda t, i, k: select(t.a.c.n).where(t.a.c.id == i).with_for_update(read=True, nowait=True)
    ),
    "lock what is free": _locks(
        "a", lambda t, i, k: select(t.a.c.id).order_by(t.a.c.id).limit(1).with_for_update(skip_locked=True)
    ),
    "share what is free": _locks(
        "a", lambda t, i, k: select(t.a.c.id).with_for_update(read=True, key_share=k == 1, skip_locked=True)
    ),
    "lock a table": _locks(
        "a", lambda t, i, k: text(f"LOCK TABLE a IN {('SHARE', 'EXCLUSIVE', 'ROW SHARE')[k - 1]} MODE")
    ),
    "lock a table at once": _locks("a", _sql("LOCK TABLE a IN SHARE ROW EXCLUSIVE MODE NOWAIT")),
    "truncate": _writes("log", _sql("TRUNCATE log")),
    "advisory lock": _locks("advisory", lambda t, i, k: select(func.pg_advisory_xact_lock(i))),
    "shared advisory lock": _locks("advisory", lambda t, i, k: select(func.pg_advisory_xact_lock_shared(i))),
    "advisory lock at once": _locks("advisory", lambda t, i, k: select(func.pg_try_advisory_xact_lock(i))),
    "update in text": _writes(
        "a", lambda t, i, k: text("UPDATE a SET n = 3 * n WHERE id = :i").bindparams(bindparam("i", i))
    ),
    "read in text": _reads("a", lambda t, i, k: text("SELECT n FROM a WHERE u = :i").bindparams(bindparam("i", i))),
    "update by another name": _writes(
        "a", lambda t, i, k: update(AGAIN).where(AGAIN.c.id == i).values(n=AGAIN.c.n * 2)
    ),
    "read by another name": _reads("a", lambda t, i, k: select(AGAIN.c.n).where(AGAIN.c.id == i)),
}
