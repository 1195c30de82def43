"""Remedies reach tables in schemas, under names that need quotes, with keys of two columns; a view is left alone."""

from __future__ import annotations

import pytest

from lab.search.job import Job
from lab.search.remedies.curable import curable
from lab.search.remedies.trials import try_remedies
from lab.search.workers import perform

STOCK, HALL = "The Shop.Stock Level", "odd.Hall"
RETRY, SERIALIZABLE = "a retry loop alone", "SERIALIZABLE with a retry loop"
SLOW = ("DeadlockByKeyOfTwo", "SkewByKeyOfTwo")
SAYS = {
    "LostByKeyOfTwo": {
        f"SELECT … FOR UPDATE on {STOCK}": "pass",
        RETRY: "fail",
        SERIALIZABLE: "pass",
        f"an atomic UPDATE … SET x = x + … (checks in its WHERE) on {STOCK}": "not run",
    },
    "SkewByKeyOfTwo": {f"SELECT … FOR UPDATE on {STOCK}": "pass", RETRY: "fail", SERIALIZABLE: "pass"},
    "DeadlockByKeyOfTwo": {f"rows of {STOCK} locked first, by key": "pass", RETRY: "pass unless starved"},
    "SeatTakenTwice": {
        f"parent row in {HALL} locked FOR UPDATE first": "pass",
        "SELECT … FOR UPDATE on odd.seat": "fail",
        SERIALIZABLE: "pass",
        "a unique key or an exclusion constraint on odd.seat": "not run",
    },
    "LostThroughAView": {
        RETRY: "fail",
        SERIALIZABLE: "pass",
        "FOR UPDATE in SELECTs that the lab cannot change (text, a view)": "not run",
    },
}


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=pytest.mark.long) if each in SLOW else each for each in SAYS]
)
async def test_a_remedy_reaches_tables_that_are_not_plain(explorer, name):
    """The rows are locked under their own names, and a key of two columns is one key."""
    job = Job(f"odd_tables:{name}", executions=12, refine=False)
    failure = curable(job, (await perform(explorer, job)).result)
    assert failure is not None
    remedies = await try_remedies(explorer, job, failure, lambda *_: None)
    assert not remedies.trouble
    said = {each.name: each.verdict for each in remedies.tried}
    assert SAYS[name].items() <= said.items(), said
