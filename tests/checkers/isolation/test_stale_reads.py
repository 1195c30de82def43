"""Which reads a report calls stale, since when, and by what their reader acted; on the real server."""

from __future__ import annotations

import pytest
from helpers.failures import PLANTED

from lab.checkers.isolation.stale import stale_reads
from lab.explore import Conditions
from lab.model.replay_token import decode, scenario_of
from lab.report.section import stale_of
from lab.scenario.declare import planted_bug_of
from lab.schedulers import make_scheduler
from lab.schedulers.replay import Replay

STALE = {
    "LimitCheckedInPython": [("phone", "credit_line 1", 1, "laptop", 3, 5, 6)],
    "CountsAdminsWithoutLock": [("ann", "member 2", 1, "ben", 3, 4, 5), ("ben", "member 1", 2, "ann", 5, 6, 0)],
    "LockEndsBeforeTheWrite": [("ann", "account 1", 1, "ben", 5, 6, 7)],
    "ReportAtReadCommitted": [("report", "account 1", 1, "mover", 2, 4, 0)],
    "CoreUpdatesInOppositeOrder": [],
    "KeyMadeAnew": [],
    "GetThenCreate": [],
}
"""Planted bug -> actor, row, step of the read, writer, step of the write, stale since, acted by."""


async def record_of(explorer, name):
    cls = PLANTED[name]
    token = decode(planted_bug_of(cls).token)
    conditions = Conditions(token.isolation or None, recorded=True)
    return await explorer.run(scenario_of(token, cls), Replay(token.schedule), conditions)


@pytest.mark.parametrize("name", STALE)
async def test_the_stale_reads_of_a_failure_are_those_that_explain_it(plain, name):
    found = stale_of(await record_of(plain, name))
    assert [(s.actor, s.what, s.read, s.writer, s.wrote, s.since, s.acted) for s in found] == STALE[name]


@pytest.mark.parametrize("name", ["LimitCheckedInPython", "LockEndsBeforeTheWrite"])
async def test_nothing_is_stale_in_what_is_right(plain, name):
    """Rows that are locked or read again before they are written, whatever anomaly another row may show."""
    scenario, scheduler = planted_bug_of(PLANTED[name]).of(), make_scheduler("portfolio", 1)
    for number in range(20):
        record = await plain.run(scenario, scheduler, execution=number, recorded=True)
        assert not stale_of(record)
        assert not stale_reads(record.trace, record.history, None)
