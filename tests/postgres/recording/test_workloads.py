"""Programs with every kind of lock, upserts, cascades and text SQL: recorded without harm, and nothing invented.

The programs are those of `bench/replay.py`. PostgreSQL keeps its promises, so a promise that a history shows as broken
is a version that was told wrongly.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.scenario.declare import ISOLATION_LEVELS
from lab.schedulers import make_scheduler

sys.path.append(str(Path(__file__).parents[3] / "bench"))

from _workloads import FivePrograms, FourPrograms, RowLocks


@pytest.mark.parametrize("seeds", [(0, 1), pytest.param((2, 3), marks=pytest.mark.long)])
@pytest.mark.parametrize("level", ISOLATION_LEVELS)
@pytest.mark.parametrize("cls", [FourPrograms, FivePrograms, RowLocks])
async def test_no_promise_of_a_level_is_broken_in_random_programs(explorer, cls, level, seeds):
    writes = 0
    for seed in seeds:
        scheduler = make_scheduler("random", seed)
        for number in range(2):
            record = await explorer.run(cls(seed=seed), scheduler, execution=number, isolation=level, recorded=True)
            assert not [finding for finding in record.findings if finding.checker == "isolation"]
            assert {each.level for each in record.history.transactions} <= {level}
            writes += sum(hasattr(op, "undone") for each in record.history.transactions for op in each.operations)
    assert writes > 5
