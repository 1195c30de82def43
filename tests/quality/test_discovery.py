"""The lab's power: every planted bug is found within 200 executions, and no right variant is objected to.

In `make test` one seed and a few executions, so that it takes less than a minute; the hunts of
`tests/database/test_planted_bugs.py` have another one. The full promise, 20 seeds and 1,000 executions, is the long
test with other figures:

    LAB_QUALITY_SEEDS=20 LAB_QUALITY_EXECUTIONS=1000 pytest tests/quality

The seeds are fixed, so nothing here rests on chance: a test that fails does so each time.
"""

from __future__ import annotations

import os

import pytest

from lab.errors import SearchOver
from lab.explore import Explorer
from lab.scenario.claims import claim_of
from lab.scenario.declare import Scenario, kind_of, target_of
from lab.scenario.registry import discover
from lab.schedulers import DEFAULT, make_scheduler

SEEDS = int(os.environ.get("LAB_QUALITY_SEEDS", "3"))
EXECUTIONS = int(os.environ.get("LAB_QUALITY_EXECUTIONS", "30"))
FEW = 10
WITHIN = 200

SCENARIOS = {target_of(cls).removeprefix("scenarios."): cls for cls in discover()}


def of_kind(kind: str) -> list[str]:
    return [name for name, cls in SCENARIOS.items() if kind_of(cls) == kind]


async def executions_to_the_first_violation(explorer: Explorer, scenario: Scenario, seed: int, most: int) -> int:
    """0 if there is none in so many executions."""
    scheduler = make_scheduler(DEFAULT, seed)
    for number in range(most):
        try:
            record = await explorer.run(scenario, scheduler, execution=number)
        except SearchOver:
            break  # every trace was run
        if record.failed:
            return number + 1
    return 0


@pytest.mark.parametrize("seeds", [(1,), pytest.param(range(SEEDS), marks=pytest.mark.long)], ids=["one", "each"])
@pytest.mark.parametrize("name", of_kind("planted"))
async def test_every_planted_bug_is_found_within_200_executions(plain, name, seeds):
    """On each seed."""
    found = {seed: await executions_to_the_first_violation(plain, SCENARIOS[name](), seed, WITHIN) for seed in seeds}
    assert all(found.values()), f"not found on seeds {[seed for seed, number in found.items() if not number]}"


CLAIMED = [name for name in of_kind("right") if claim_of(SCENARIOS[name]) is not None]
"""Those that INVARIANTS.md says to hold in more executions than a few of the same scheduler, and CI runs it."""
OF_RIGHT = [
    *(pytest.param(name, FEW, marks=[pytest.mark.long] if name in CLAIMED else []) for name in of_kind("right")),
    *(pytest.param(name, EXECUTIONS, marks=pytest.mark.long) for name in of_kind("right")),
]


@pytest.mark.parametrize(("name", "executions"), OF_RIGHT)
async def test_no_right_variant_is_objected_to(plain, name, executions):
    """Under schedules of the seed that follows those of the planted bugs."""
    assert await executions_to_the_first_violation(plain, SCENARIOS[name](), SEEDS, executions) == 0
