"""A trigger that reads behind a pause, in the step that ends its transaction, is named: nothing stops in between."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from lab import Scenario, actor, invariant
from lab.postgres.statements.firing import Firing, fired
from lab.postgres.statements.several import reads_rows
from lab.scenario.declare import target_of
from lab.search.hunt import Hunt
from lab.search.job import Job

BELOW = "IF (SELECT sum(n) FROM account) < 0 THEN RAISE EXCEPTION 'below' USING ERRCODE = '23514'; END IF;"
STAMP = "IF NEW.n IS DISTINCT FROM OLD.n THEN PERFORM pg_notify('account', 'x'); END IF;"
TRIGGERS = {
    "after": (BELOW, "TRIGGER checks AFTER UPDATE ON account"),
    "before": (BELOW, "TRIGGER checks BEFORE UPDATE ON account"),
    "deferred": (BELOW, "CONSTRAINT TRIGGER checks AFTER UPDATE ON account DEFERRABLE INITIALLY DEFERRED"),
    "deferrable": (BELOW, "CONSTRAINT TRIGGER checks AFTER UPDATE ON account DEFERRABLE"),
    "stamps": (STAMP, "TRIGGER checks BEFORE UPDATE ON account"),
    "inserts": (BELOW, "TRIGGER checks AFTER INSERT ON account"),
}
DRAWS = "UPDATE account SET n = n - 80 WHERE id = :id"
CALLS = "SELECT draws(:id)"


@dataclass(frozen=True)
class Draws(Scenario):
    """Two accounts that together must not be below 0, which a trigger checks."""

    way: str = "after"
    autocommit: bool = True
    first: str = ""
    sent: str = DRAWS
    level: str = "READ COMMITTED"

    async def schema(self, connection):
        code, fires = TRIGGERS[self.way]
        drawing = DRAWS.replace(":id", "$1")
        for made in (
            "CREATE TABLE account (id int PRIMARY KEY, n int)",
            f"CREATE FUNCTION draws(int) RETURNS void LANGUAGE sql AS '{drawing}'",
            f"CREATE FUNCTION checks() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {code} RETURN NEW; END$$",
            f"CREATE {fires} FOR EACH ROW EXECUTE FUNCTION checks()",
        ):
            await connection.exec_driver_sql(made)

    async def setup(self, session):
        await session.execute(text("INSERT INTO account VALUES (1, 50), (2, 50)"))

    @actor(names=("ann", "ben"), allows=(IntegrityError,))
    async def draw(self, engine, name):
        level = "AUTOCOMMIT" if self.autocommit else self.level
        async with engine.execution_options(isolation_level=level).begin() as connection:
            if self.first:
                await connection.execute(text(self.first))
            await connection.execute(text(self.sent), {"id": {"ann": 1, "ben": 2}[name]})

    @invariant
    async def not_below(self, session):
        assert await session.scalar(text("SELECT sum(n) FROM account")) >= 0


class Defers(Draws):
    async def schema(self, connection):
        await super().schema(connection)
        code = "SET CONSTRAINTS ALL DEFERRED"
        made = f"CREATE FUNCTION defers() RETURNS void LANGUAGE plpgsql AS $$BEGIN {code}; END$$"
        await connection.exec_driver_sql(made)


async def named(explorer, scenario) -> list[str]:
    job = Job(target_of(Draws), "dpor", 4, refine=False, keep_going=True)
    said = (await Hunt(scenario, job).run(explorer)).unsearched
    return [each for each in said if "what a trigger or an index reads" in each]


@pytest.mark.parametrize(
    "scenario",
    [
        Draws(),
        Draws("before"),
        Draws("deferred"),
        Draws(sent=CALLS),
        Draws("deferred", autocommit=False),
        Draws("deferrable", autocommit=False, first="SET CONSTRAINTS ALL DEFERRED"),
    ],
    ids=str,
)
async def test_what_is_read_and_committed_in_one_step_is_named(explorer, scenario):
    (said,) = await named(explorer, scenario)
    assert ("the COMMIT of" in said) is not scenario.autocommit
    assert said.endswith("and its end, which are one step")


@pytest.mark.parametrize(
    "scenario",
    [
        Draws(autocommit=False),
        Draws("deferrable", autocommit=False),
        Draws("stamps"),
        Draws("inserts"),
        Draws("deferred", autocommit=False, level="SERIALIZABLE"),
    ],
    ids=str,
)
async def test_what_a_schedule_can_come_between_is_not(explorer, scenario):
    """Nor what does not read, is not fired, or sees what its transaction saw first."""
    assert await named(explorer, scenario) == []


@pytest.mark.parametrize("first", ["/* ours */ SET CONSTRAINTS ALL DEFERRED", "SELECT defers()"])
async def test_who_asks_for_the_commit_may_say_so_in_other_words(explorer, first):
    (said,) = await named(explorer, Defers("deferrable", autocommit=False, first=first))
    assert "the COMMIT of" in said


async def test_a_read_before_the_commit_is_found(explorer):
    job = Job(target_of(Draws), "dpor", 100, refine=False)
    assert (await Hunt(Draws(autocommit=False), job).run(explorer)).verdict == "fail"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("SELECT count(*) INTO n FROM account", True),
        ('SELECT 1 FROM public."account" a', True),
        ("SELECT 1 FROM other JOIN account USING (id)", True),
        ("EXECUTE format('SELECT 1 FROM %I', TG_ARGV[0])", True),
        ("DELETE FROM account WHERE id = OLD.id", False),
        ("UPDATE account SET n = n + 1", False),
        ("PERFORM pg_notify('account', NEW.id::text)", False),
    ],
)
def test_which_code_reads_rows(source, expected):
    assert reads_rows(source, {"account"}) is expected


GATE, DOOR = (f"CREATE TABLE {name} (id int PRIMARY KEY)" for name in ("gate", "door"))
OPENS = """
CREATE FUNCTION opens() RETURNS trigger LANGUAGE plpgsql
AS $$BEGIN DELETE FROM account WHERE id = OLD.id; RETURN NULL; END$$
"""
REACHED = {
    "a cascade": (
        [DOOR],
        "ALTER TABLE account ADD FOREIGN KEY (id) REFERENCES door ON DELETE CASCADE",
        "DELETE FROM door WHERE id = :id",
        "DELETE",
    ),
    "a cascade of a cascade": (
        [GATE, "CREATE TABLE door (id int PRIMARY KEY REFERENCES gate ON DELETE CASCADE)"],
        "ALTER TABLE account ADD FOREIGN KEY (id) REFERENCES door ON DELETE CASCADE",
        "DELETE FROM gate WHERE id = :id",
        "DELETE",
    ),
    "a key that is set to NULL": (
        [DOOR],
        "ALTER TABLE account ADD door int REFERENCES door ON DELETE SET NULL",
        "DELETE FROM door WHERE id = :id",
        "UPDATE",
    ),
    "a key that changes": (
        [DOOR],
        "ALTER TABLE account ADD door int REFERENCES door ON UPDATE CASCADE",
        "UPDATE door SET id = id + 10 WHERE id = :id",
        "UPDATE",
    ),
    "a view": ([], "CREATE VIEW shown AS SELECT * FROM account", "DELETE FROM shown WHERE id = :id", "DELETE"),
    "a rule": (
        [DOOR],
        "CREATE RULE also AS ON DELETE TO door DO ALSO DELETE FROM account WHERE id = old.id",
        "DELETE FROM door WHERE id = :id",
        "DELETE",
    ),
    "a table that has children": (
        ["CREATE TABLE door (id int)"],
        "ALTER TABLE account INHERIT door",
        "DELETE FROM door WHERE id = :id",
        "DELETE",
    ),
    "a trigger": (
        [DOOR, OPENS],
        "CREATE TRIGGER opens AFTER DELETE ON door FOR EACH ROW EXECUTE FUNCTION opens()",
        "DELETE FROM door WHERE id = :id",
        "DELETE",
    ),
}
"""What makes it before and after the table, what is sent, and what the trigger comes after."""
READS = "IF (SELECT count(*) FROM account) < 1 THEN RAISE EXCEPTION 'below' USING ERRCODE = '23514'; END IF;"
READS_AND_READS = f"{READS} {READS}"


@dataclass(frozen=True)
class Reached(Draws):
    """The trigger is on a table that no statement names."""

    by: str = "a cascade"
    code: str = READS

    async def schema(self, connection):
        before, after, _, event = REACHED[self.by]
        for made in (
            *before,
            "CREATE TABLE account (id int PRIMARY KEY, n int)",
            after,
            f"CREATE FUNCTION checks() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {self.code} RETURN NULL; END$$",
            f"CREATE TRIGGER checks AFTER {event} ON account FOR EACH ROW EXECUTE FUNCTION checks()",
        ):
            await connection.exec_driver_sql(made)

    async def setup(self, session):
        for table in ("gate", "door", "account"):
            if await session.scalar(text(f"SELECT count(*) FROM pg_tables WHERE tablename = '{table}'")):
                await session.execute(text(f"INSERT INTO {table} (id) VALUES (1), (2)"))
        if self.by.startswith("a key"):
            await session.execute(text("UPDATE account SET door = id"))

    @invariant
    async def not_below(self, session):
        assert await session.scalar(text("SELECT count(*) FROM account")) >= 1


TOTAL = "CREATE FUNCTION total() RETURNS bigint LANGUAGE sql {} AS 'SELECT sum(n) FROM account'"
COVER = f"CREATE FUNCTION cover() RETURNS void LANGUAGE plpgsql AS $$BEGIN {BELOW} END$$"
TAKES = """
CREATE FUNCTION take(i int) RETURNS int LANGUAGE plpgsql
AS $$BEGIN UPDATE account SET n = n - 80 WHERE id = i; RETURN i; END$$
"""
TAKES_ANY = """
CREATE FUNCTION take(t regclass, i int) RETURNS void LANGUAGE plpgsql
AS $$BEGIN EXECUTE format('UPDATE %s SET n = n - 80 WHERE id = $1', t) USING i; END$$
"""
LOG = "CREATE TABLE log (id int)"
BEHIND = {
    "a helper in SQL": ([TOTAL.format("")], BELOW.replace("(SELECT sum(n) FROM account)", "total()"), DRAWS),
    "a steady helper": ([TOTAL.format("STABLE")], BELOW.replace("(SELECT sum(n) FROM account)", "total()"), DRAWS),
    "a helper that is performed": ([COVER], "PERFORM cover();", DRAWS),
    "a table that is named alone": (
        [],
        "IF (WITH a AS (TABLE account) SELECT sum(n) FROM a) < 0 THEN NULL; END IF;",
        DRAWS,
    ),
    "values": ([TAKES], BELOW, "VALUES (take(:id))"),
    "what is returned": ([LOG, TAKES], BELOW, "INSERT INTO log VALUES (:id) RETURNING take(id)"),
    "a check": ([TAKES, "CREATE TABLE log (id int CHECK (take(id) > 0))"], BELOW, "INSERT INTO log VALUES (:id)"),
    "what a view shows": (
        [LOG, TAKES, "INSERT INTO log VALUES (1), (2)", "CREATE VIEW taken AS SELECT id, take(id) FROM log"],
        BELOW,
        "SELECT * FROM taken WHERE id = :id",
    ),
    "an operator": (
        [TAKES, "CREATE OPERATOR <<<>>> (RIGHTARG = int, FUNCTION = take)"],
        BELOW,
        "SELECT <<<>>> CAST(:id AS int)",
    ),
    "a condition": ([TOTAL.format("")], BELOW.replace("IF (", "IF total() < 0 AND ("), DRAWS),
    "an index": (
        [
            TOTAL.format(""),
            "CREATE FUNCTION low(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RETURN total(); END$$",
            "CREATE INDEX ON account (low(n))",
        ],
        "",
        DRAWS,
    ),
    "an aggregate": (
        [
            TAKES.replace("take(i int)", "take(int, i int)"),
            "CREATE AGGREGATE takes(int) (SFUNC = take, STYPE = int, INITCOND = '0')",
        ],
        BELOW,
        "SELECT takes(v) FROM (VALUES (CAST(:id AS int))) AS v (v)",
    ),
    "a policy": (
        [LOG, TAKES, "ALTER TABLE log ENABLE ROW LEVEL SECURITY", "CREATE POLICY p ON log WITH CHECK (take(id) > 0)"],
        BELOW,
        "INSERT INTO log VALUES (:id)",
    ),
    "a name in unicode": ([], BELOW, 'UPDATE U&"acc\\006funt" SET n = n - 80 WHERE id = :id'),
    "a statement made up": ([TAKES_ANY], BELOW, "SELECT take('account', :id)"),
}
"""What is made before, the code of the trigger, and what is sent."""


@dataclass(frozen=True)
class Behind(Draws):
    """The trigger reads, or is fired, by something else that a name leads to."""

    by: str = ""
    table: str = "account"

    async def schema(self, connection):
        before, code, _ = BEHIND[self.by]
        for made in (
            "CREATE TABLE account (id int PRIMARY KEY, n int)",
            *before,
            f"CREATE FUNCTION checks() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {code} RETURN NULL; END$$",
            "CREATE TRIGGER checks AFTER UPDATE ON account FOR EACH ROW EXECUTE FUNCTION checks()",
        ):
            await connection.exec_driver_sql(made.replace("account", self.table))

    async def setup(self, session):
        await session.execute(text(f"INSERT INTO {self.table} VALUES (1, 50), (2, 50)"))

    @invariant
    async def not_below(self, session):
        assert await session.scalar(text(f"SELECT sum(n) FROM {self.table}")) is not None


@pytest.mark.parametrize("by", BEHIND)
async def test_nor_is_what_stands_behind_a_function_searched(explorer, by):
    assert await named(explorer, Behind(by=by, sent=BEHIND[by][2]))


@pytest.mark.parametrize("table", ['"bank-account"', '"größe"', '"BankAccount"'])
async def test_a_table_may_have_any_name(explorer, table):
    scenario = Behind(by="a helper in SQL", table=table, sent=DRAWS.replace("account", table))
    assert await named(explorer, scenario)


class Asks(Draws):
    """The trigger itself reads nothing: what decides whether it runs does."""

    async def schema(self, connection):
        for made in (
            "CREATE TABLE account (id int PRIMARY KEY, n int)",
            TOTAL.format(""),
            "CREATE FUNCTION checks() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE SQLSTATE '23514'; END$$",
            "CREATE TRIGGER checks AFTER UPDATE ON account FOR EACH ROW WHEN (total() < 0) EXECUTE FUNCTION checks()",
        ):
            await connection.exec_driver_sql(made)


async def test_nor_is_the_condition_of_a_trigger(explorer):
    assert await named(explorer, Asks())


class Moves(Draws):
    """A row that goes to another partition is deleted here."""

    async def schema(self, connection):
        code = READS.replace("account", "account WHERE id < 10")
        for made in (
            "CREATE TABLE account (id int PRIMARY KEY, n int) PARTITION BY RANGE (id)",
            "CREATE TABLE low PARTITION OF account FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE high PARTITION OF account FOR VALUES FROM (10) TO (100)",
            f"CREATE FUNCTION checks() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {code} RETURN NULL; END$$",
            "CREATE TRIGGER checks AFTER DELETE ON account FOR EACH ROW EXECUTE FUNCTION checks()",
        ):
            await connection.exec_driver_sql(made)


async def test_nor_is_a_row_that_moves(explorer):
    assert await named(explorer, Moves(sent="UPDATE account SET id = id + 10 WHERE id = :id"))


class Disabled(Draws):
    async def schema(self, connection):
        await super().schema(connection)
        await connection.exec_driver_sql("ALTER TABLE account DISABLE TRIGGER checks")


async def test_a_trigger_that_is_off_is_not_named(explorer):
    assert await named(explorer, Disabled()) == []


@pytest.mark.parametrize("by", REACHED)
async def test_a_trigger_that_something_else_leads_to_is_named(explorer, by):
    (said,) = await named(explorer, Reached(by=by, sent=REACHED[by][2]))
    assert REACHED[by][2].partition(" ")[0] in said


@pytest.mark.parametrize("by", REACHED)
async def test_so_is_one_of_several_reads(explorer, by):
    scenario = Reached(by=by, sent=REACHED[by][2], code=READS_AND_READS)
    job = Job(target_of(Draws), "dpor", 4, refine=False, keep_going=True)
    said = (await Hunt(scenario, job).run(explorer)).unsearched
    assert [each for each in said if each.startswith("what others commit between the statements within")], said


async def test_an_event_that_leads_to_none_is_not_named(explorer):
    assert await named(explorer, Reached(by="a key that changes", sent="DELETE FROM account WHERE id = :id")) == []


def test_a_trigger_is_fired_by_its_events_on_its_table():
    trigger = Firing("account", frozenset({"update"}))
    assert fired('UPDATE "account" SET n = 1', [trigger]) == [trigger]
    assert fired("INSERT INTO account VALUES (1)", [trigger]) == []
    assert fired("UPDATE other SET n = 1", [trigger]) == []
