"""Defaults, checks and domains that read by a function: the statement that fires them pauses before its row, too."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from lab import Scenario, actor, invariant
from lab.scenario.declare import target_of
from lab.search.hunt import Hunt
from lab.search.job import Job

FEW = "CREATE FUNCTION few() RETURNS bool LANGUAGE sql AS 'SELECT count(*) < 1 FROM seat'"
NEXT = "CREATE FUNCTION following() RETURNS int LANGUAGE sql {} 'SELECT coalesce(max(n), 0) + 1 FROM seat'"
MADE = {
    "a check": (FEW, "ALTER TABLE seat ADD CHECK (few())"),
    "a default": (NEXT.format("AS"), "ALTER TABLE seat ALTER n SET DEFAULT following()"),
    "a steady default": (NEXT.format("STABLE AS"), "ALTER TABLE seat ALTER n SET DEFAULT following()"),
    "a body": (
        "CREATE FUNCTION few() RETURNS bool BEGIN ATOMIC SELECT count(*) < 1 FROM seat; END",
        "ALTER TABLE seat ADD CHECK (few())",
    ),
    "a domain over a domain": (
        FEW,
        "CREATE DOMAIN inner_one AS int CHECK (few())",
        "CREATE DOMAIN outer_one AS inner_one",
        "ALTER TABLE seat ALTER n TYPE outer_one",
    ),
    "an array of a domain": (
        FEW,
        "CREATE DOMAIN inner_one AS int CHECK (few())",
        "ALTER TABLE seat ADD all_n inner_one[] DEFAULT '{1}'",
    ),
    "an operator": (
        "CREATE FUNCTION room(int, int) RETURNS bool LANGUAGE sql AS 'SELECT count(*) < 1 FROM seat'",
        "CREATE OPERATOR <<<>>> (LEFTARG = int, RIGHTARG = int, FUNCTION = room)",
        "ALTER TABLE seat ADD CHECK (n <<<>>> 1)",
    ),
    "a condition of a trigger": (
        FEW,
        "CREATE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'full'; END$$",
        "CREATE TRIGGER t BEFORE INSERT ON seat FOR EACH ROW WHEN (NOT few()) EXECUTE FUNCTION full_up()",
    ),
    "a default of a domain": (
        NEXT.format("AS"),
        "CREATE DOMAIN number AS int DEFAULT following()",
        "ALTER TABLE seat ALTER n DROP DEFAULT, ALTER n TYPE number",
    ),
}
"""What lets one in, or counts by one."""


@dataclass(frozen=True)
class Seats(Scenario):
    """Two inserts, each its own transaction."""

    way: str = ""
    sent: str = "INSERT INTO seat (who) VALUES (:who)"

    async def schema(self, connection):
        await connection.exec_driver_sql("CREATE TABLE seat (who text PRIMARY KEY, n int DEFAULT 1)")
        for made in self.made():
            await connection.exec_driver_sql(made)

    def made(self):
        return MADE[self.way]

    @actor(names=("ann", "ben"), allows=(DBAPIError,))
    async def sits_down(self, engine, name):
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text(self.sent), {"who": name})

    @invariant
    async def numbers_are_apart(self, session):
        count = text("SELECT count(DISTINCT n) = count(*) FROM seat")
        assert await session.scalar(count)


class Domain(Seats):
    """The check is one of a type, and no longer holds when the lab looks for the row."""

    def made(self):
        yield FEW
        yield "CREATE DOMAIN single AS int CHECK (few())"
        yield "ALTER TABLE seat ALTER n TYPE single"


class Plain(Seats):
    """Nothing behind it reads."""

    def made(self):
        yield "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'"
        yield "ALTER TABLE seat ADD at timestamptz DEFAULT now(), ALTER n SET DEFAULT one()"
        yield "ALTER TABLE seat ADD CHECK (length(who) > 1)"

    @invariant
    async def numbers_are_apart(self, session):
        assert await session.scalar(text("SELECT count(*) FROM seat")) == 2


SPELLED = {
    "an operator": (
        "CREATE FUNCTION next_of(text, int) RETURNS int LANGUAGE sql AS 'SELECT coalesce(max(n), 0) + 1 FROM seat'",
        "CREATE OPERATOR @@+ (LEFTARG = text, RIGHTARG = int, FUNCTION = next_of)",
        "INSERT INTO seat VALUES (:who, 'x' @@+ 1)",
    ),
    "a cast": (
        "CREATE TYPE duty AS (n int)",
        "CREATE FUNCTION next_of(duty) RETURNS int LANGUAGE sql AS 'SELECT coalesce(max(n), 0) + 1 FROM seat'",
        "CREATE CAST (duty AS int) WITH FUNCTION next_of(duty)",
        "INSERT INTO seat VALUES (:who, CAST(CAST(ROW(1) AS duty) AS int))",
    ),
    "a field that is none": (
        "CREATE TYPE duty AS (n int)",
        "CREATE FUNCTION following(duty) RETURNS int LANGUAGE sql AS 'SELECT coalesce(max(n), 0) + 1 FROM seat'",
        "INSERT INTO seat VALUES (:who, (CAST(ROW(1) AS duty)).following)",
    ),
    "an aggregate": (
        "CREATE FUNCTION next_of(int, int) RETURNS int LANGUAGE sql AS 'SELECT coalesce(max(n), 0) + 1 FROM seat'",
        "CREATE AGGREGATE following(int) (SFUNC = next_of, STYPE = int, INITCOND = '0')",
        "INSERT INTO seat VALUES (:who, (SELECT following(v) FROM (VALUES (1)) AS v (v)))",
    ),
    "a composite type": (
        FEW,
        "CREATE DOMAIN inner_one AS int CHECK (few())",
        "CREATE TYPE pair AS (a inner_one)",
        "ALTER TABLE seat ADD both_of pair",
        "INSERT INTO seat (who, both_of) VALUES (:who, ROW(1))",
    ),
    "a table by its name": ("INSERT INTO seat VALUES (:who, CASE WHEN EXISTS (TABLE seat) THEN 2 ELSE 1 END)",),
    "a comment ahead": (
        """/* route='sit' */ MERGE INTO seat USING (SELECT count(*) AS c FROM seat) AS s ON false
        WHEN NOT MATCHED THEN INSERT VALUES (:who, c)""",
    ),
}
"""What is made, and the statement, which does not name what reads."""


class Spelled(Seats):
    def made(self):
        return SPELLED[self.way][:-1]


class OfAnExtension(Plain):
    """A type, an operator and a cast that are no code of the application's."""

    def made(self):
        yield "CREATE EXTENSION vector"
        yield "ALTER TABLE seat ADD at vector(1) DEFAULT '[1]', ADD CHECK (at <-> '[1]' < 9)"


async def hunted(explorer, scenario):
    return await Hunt(scenario, Job(target_of(type(scenario)), "dpor", 50, refine=False)).run(explorer)


@pytest.mark.parametrize("way", MADE)
async def test_a_search_finds_it(explorer, way):
    assert (await hunted(explorer, Seats(way))).verdict == "fail"


@pytest.mark.parametrize("way", SPELLED)
async def test_so_it_does_where_the_statement_runs_code_by_another_name(explorer, way):
    assert (await hunted(explorer, Spelled(way, SPELLED[way][-1]))).verdict == "fail"


async def test_a_row_whose_values_may_not_be_made_again_ends_no_hunt(explorer):
    result = await hunted(explorer, Domain())
    assert result.trouble == ""
    assert result.verdict == "fail"


@pytest.mark.parametrize(
    "scenario",
    [Plain(), OfAnExtension(sent="INSERT INTO seat (who, at) VALUES (:who, CAST('[2]' AS vector) + '[1]')")],
    ids=["of its own", "of an extension"],
)
async def test_what_reads_nothing_is_no_pause(explorer, scenario):
    result = await hunted(explorer, scenario)
    assert (len(result.traces), result.complete) == (2, True)
