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

    async def schema(self, connection):
        await connection.exec_driver_sql("CREATE TABLE seat (who text PRIMARY KEY, n int DEFAULT 1)")
        for made in self.made():
            await connection.exec_driver_sql(made)

    def made(self):
        return MADE[self.way]

    @actor(names=("ann", "ben"), allows=(DBAPIError,))
    async def sits_down(self, engine, name):
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text("INSERT INTO seat (who) VALUES (:who)"), {"who": name})

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


async def hunted(explorer, scenario):
    return await Hunt(scenario, Job(target_of(type(scenario)), "dpor", 50, refine=False)).run(explorer)


@pytest.mark.parametrize("way", MADE)
async def test_a_search_finds_it(explorer, way):
    assert (await hunted(explorer, Seats(way))).verdict == "fail"


async def test_a_row_whose_values_may_not_be_made_again_ends_no_hunt(explorer):
    result = await hunted(explorer, Domain())
    assert result.trouble == ""
    assert result.verdict == "fail"


async def test_what_reads_nothing_is_no_pause(explorer):
    result = await hunted(explorer, Plain())
    assert (len(result.traces), result.complete) == (2, True)
