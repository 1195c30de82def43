"""The probes' anomalies appear at exactly the levels at which PostgreSQL allows them."""

from __future__ import annotations

import pytest

from lab.scenario.declare import ISOLATION_LEVELS
from lab.schedulers import make_scheduler
from scenarios.isolation import (
    LostUpdateAnomaly,
    PhantomAnomaly,
    ReadOnlyAnomaly,
    ReadSkewAnomaly,
    WriteSkewAnomaly,
)

READ_COMMITTED, REPEATABLE_READ, SERIALIZABLE = ISOLATION_LEVELS
PREVENTED_FROM = {
    LostUpdateAnomaly: REPEATABLE_READ,
    ReadSkewAnomaly: REPEATABLE_READ,
    WriteSkewAnomaly: SERIALIZABLE,
    PhantomAnomaly: REPEATABLE_READ,
    ReadOnlyAnomaly: SERIALIZABLE,
}
"""From PostgreSQL's documentation of its isolation levels, not from the scenarios."""


@pytest.mark.parametrize("cls", PREVENTED_FROM, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("level", ISOLATION_LEVELS)
@pytest.mark.parametrize("without", [20, pytest.param(60, marks=pytest.mark.long)])
async def test_an_anomaly_appears_exactly_where_the_level_allows_it(plain, cls, level, without):
    """Found within 300 executions where it is allowed, not in so many where it is prevented."""
    allowed = ISOLATION_LEVELS.index(level) < ISOLATION_LEVELS.index(PREVENTED_FROM[cls])
    scheduler = make_scheduler("random", 5)
    appeared = False
    for number in range(300 if allowed else without):
        appeared = (await plain.run(cls(), scheduler, execution=number, isolation=level)).failed
        if appeared:
            break
    assert appeared == allowed
    assert (level in cls.allowed_at) == allowed
