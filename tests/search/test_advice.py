"""Advice fits: what is offered has its precondition in schema and statements, and the usual fixes are there."""

from __future__ import annotations

import pytest
from helpers.kit import Order
from helpers.remedied import (
    SHOP,
    CheckedApart,
    Logins,
    OneAdvisoryLock,
    Picked,
    Referred,
    Renamed,
    Seats,
    Unlocked,
)
from sqlalchemy import Column, Index, Integer, MetaData, Table, text

from lab import Scenario
from lab.analysis.facts import Facts
from lab.explore import Explorer
from lab.search.job import Job
from lab.search.remedies import REMEDIES
from lab.search.remedies.curable import curable
from lab.search.remedies.schema import is_a_number, parents_of, unique_keys
from lab.search.remedies.trials import try_remedies
from lab.search.workers import perform

SHOP_OF = "helpers.remedied"
LOCKED = "check and write of ann and ben in one transaction, the rows locked FOR UPDATE before they are checked"


async def advice(explorer: Explorer, scenario: Scenario, order: str, anomaly: str | None = None) -> set[str]:
    """What is advised for one execution, as if it had failed."""
    facts = Facts(await explorer.run(scenario, Order(order)), anomaly=anomaly)
    return {each.name for kind in REMEDIES.values() for each in kind.advises(facts)}


async def remedies(explorer: Explorer, scenario: Scenario, order: str) -> list[str]:
    """The names of what is run for one execution."""
    facts = Facts(await explorer.run(scenario, Order(order)))
    return [each.name for kind in REMEDIES.values() for each in kind.runs(facts)]


@pytest.mark.parametrize(
    ("cls", "order", "anomaly", "offered", "not_offered"),
    [
        (Seats, "ann ben ann ben", "G2", {"a unique key or an exclusion constraint on seat"}, {"ON CONFLICT"}),
        (Seats, "ann ben ann ben", "G2", {"pg_advisory_xact_lock before looking at seat"}, set()),
        (Logins, "ann ben ann ann ben", None, {"INSERT … ON CONFLICT on login"}, {"unique key", "looking at login"}),
        (
            Logins,
            "ann ben ann ann ben",
            None,
            {"a savepoint around the INSERT on login, and the row read again"},
            set(),
        ),
        (Renamed, "ann ben ann ann ben", "P4", {"a version check on room (version_id_col)"}, {"atomic UPDATE"}),
        (
            CheckedApart,
            "ann ben",
            None,
            {LOCKED},
            {"all writes"},
        ),
        (Picked, "ann ben", None, {"FOR UPDATE SKIP LOCKED in the subquery with LIMIT"}, set()),
        (Unlocked, "ann", None, {"pg_advisory_xact_lock, which is held until the commit"}, {"order of their keys"}),
        (OneAdvisoryLock, "ann ben ann ben ann ben", None, set(), {"order of their keys", "until the commit"}),
        (
            Referred,
            "ann ben ann ben",
            None,
            {"FOR NO KEY UPDATE instead of FOR UPDATE on room (key_share=True)"},
            set(),
        ),
    ],
)
async def test_advice_has_its_precondition(explorer, cls, order, anomaly, offered, not_offered):
    """The usual fix is offered where it applies; what the schema or the statements rule out is not."""
    found = await advice(explorer, cls(), order, anomaly)
    assert offered <= found
    assert not [each for each in found for part in not_offered if part in each]


async def test_no_lock_stands_behind_an_aggregate(explorer):
    """PostgreSQL refuses it: the rows are locked before that."""
    names = await remedies(explorer, Seats(), "ann ben ann ben")
    assert "rows of seat locked FOR UPDATE before they are read" in names
    assert not [each for each in names if each.startswith("SELECT … FOR UPDATE")]


async def test_a_parent_row_locked_first_is_run_and_helps(explorer):
    """Both new seats belong to one room, so whoever locks the room first looks alone."""
    job = Job(f"{SHOP_OF}:Seats", executions=60)
    failure = curable(job, (await perform(explorer, job)).result)
    assert failure is not None
    tried = {each.name: each for each in (await try_remedies(explorer, job, failure, lambda *_: None)).tried}
    assert tried["parent row in room locked FOR UPDATE first"].verdict == "pass"
    assert tried["rows of seat locked FOR UPDATE before they are read"].verdict == "fail"


@pytest.mark.parametrize(("name", "state"), [("Logins", "23505"), ("Orphans", "23503")])
async def test_an_error_that_anothers_row_brings_about_has_remedies(explorer, name, state):
    """A loop that catches it begins again and sees what the other did; a plain loop does not catch it."""
    job = Job(f"{SHOP_OF}:{name}", executions=60)
    failure = curable(job, (await perform(explorer, job)).result)
    assert failure is not None
    assert (failure.checker, failure.sqlstate) == ("result", state)
    tried = {each.name: each for each in (await try_remedies(explorer, job, failure, lambda *_: None)).tried}
    assert tried[f"a retry loop that also catches {state}"].verdict == "pass"
    assert tried["a retry loop alone"].verdict == "fail"


def test_the_schema_knows_keys_parents_and_numbers():
    """Primary keys, unique constraints and unique indexes; not those over a part of the rows."""
    tables = SHOP.tables
    assert set(unique_keys(tables["login"])) == {frozenset({"id"}), frozenset({"email"})}
    assert parents_of(tables["seat"]) == {"room"}
    assert parents_of(tables["room"]) == parents_of(None) == frozenset()
    assert (is_a_number(tables["seat"], "row"), is_a_number(tables["room"], "name")) == (True, False)
    assert unique_keys(None) == []
    part = Index("part", Column("a", Integer), unique=True, postgresql_where=text("a > 0"))
    whole = Index("whole", Column("b", Integer), unique=True)
    assert unique_keys(Table("t", MetaData(), *part.columns, *whole.columns, part, whole)) == [frozenset({"b"})]
