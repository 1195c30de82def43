"""Serial equivalence and the dependency graph agree on the catalogue, or here stands why not.

They ask different questions. The graph asks of *transactions* whether some serial order has the same reads and
versions of rows. Serial equivalence asks of whole *requests* whether some order has the same results and final rows. So
a request of several transactions may fail the second while each of its transactions passes the first; and a read whose
value makes no difference fails the first only.
"""

from __future__ import annotations

import pytest

from lab.model.outcome import Ending
from lab.model.replay_token import decode, scenario_of
from lab.scenario.declare import kind_of, planted_bug_of
from lab.scenario.registry import discover
from lab.schedulers import make_scheduler
from lab.schedulers.replay import Replay

EXECUTIONS = 8
"""Of a right variant. The full promise, of 1,000, is `tests/quality`."""

PLANTED = {cls.__name__: cls for cls in discover() if kind_of(cls) == "planted"}
RIGHT = {cls.__name__: cls for cls in discover() if kind_of(cls) == "right"}

ONLY_SERIAL = {
    "DoubleClick": "the second click is told 'in progress', by a guard in the process; in a serial run it never is",
    "LockEndsBeforeTheWork": "a request of two transactions",
    "LockEndsBeforeTheWrite": "a request of two transactions",
    "OnlyOlderVersionsConflict": "a request of two transactions: what it compares was read in the first",
    "OwnerMayBeNull": "the UPDATE reads through a subquery, which the history names as not understood",
    "RetryOfTheLastStatement": "a request of two transactions: the refused one, and half of it again",
    "SwallowedDeadlock": "the victim's transaction aborted, so it is not in the graph; its request reports success",
    "TriedAgainWithStaleObjects": "a request of two transactions: what it writes was read in the first",
    "TwoTransactions": "a request of two transactions",
}
ONLY_GRAPH = {
    "OversoldThenRefilled": "what was oversold is refilled, so the end is that of a serial run",
    "Import": "both look which articles there are, and a savepoint catches what came in between",
    "Withdrawals": "the row is read a second time, under its lock, and only that value is used",
}


@pytest.mark.parametrize("name", PLANTED)
async def test_on_planted_bugs(plain, name):
    """The execution that its token replays."""
    cls = PLANTED[name]
    token = decode(planted_bug_of(cls).token)
    replay = Replay(token.schedule)
    record = await plain.run(scenario_of(token, cls), replay, recorded=True, checks=("serial",))
    compare(record, name)
    if name in ONLY_SERIAL:
        assert record.serial.differences


@pytest.mark.parametrize("executions", [EXECUTIONS, pytest.param(30, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", RIGHT)
async def test_on_right_variants(plain, name, executions):
    """Random executions: no invariant is broken in any of them, and no level's promise."""
    scheduler = make_scheduler("random", 1)
    told = 0
    for number in range(executions):
        record = await plain.run(RIGHT[name](), scheduler, execution=number, recorded=True, checks=("serial",))
        compare(record, name)
        told += not record.serial.obstacle and bool(record.anomalies or record.serial.differences)
        broken = [finding for finding in record.findings if finding.checker != "serial"]
        assert not broken, (broken, str(record.schedule))
    assert bool(told) == (name in {*ONLY_SERIAL, *ONLY_GRAPH})


def compare(record, name: str) -> None:
    serializable, equal = not record.anomalies, not record.serial.differences
    if record.serial.obstacle:
        assert record.trace.faults or record.outcome.ending is Ending.STALLED  # which no serial run has
    elif name in ONLY_SERIAL:
        assert serializable
    elif name in ONLY_GRAPH:
        assert equal
    else:
        assert serializable == equal, (record.anomalies, record.serial, str(record.schedule))
