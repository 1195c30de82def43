"""Planted bugs as a hunt hands them out."""

from __future__ import annotations

from lab.explore import Conditions, Explorer
from lab.model.record import Failure
from lab.model.replay_token import decode, scenario_of
from lab.scenario.declare import planted_bug_of
from lab.scenario.registry import discover
from lab.schedulers.replay import Replay
from lab.shrink.refine import refined

PLANTED = {cls.__name__: cls for cls in discover()}
KINDS = {
    "LimitCheckedInPython": "lost update",
    "ReportAtReadCommitted": "read skew",
    "CountsAdminsWithoutLock": "write skew",
    "BookedWithoutLock": "a predicate",
    "OversoldThenRefilled": "two anomalies",
    "CoreUpdatesInOppositeOrder": "deadlock of two",
    "AdvisoryLocksInOppositeOrder": "deadlock over advisory locks",
    "RetryOfTheLastStatement": "deadlock of three",
    "PriceListsInOrderOfTheFile": "pause inside a statement",
    "LocksInOppositeOrder": "stall in the process",
    "ThreadWaitsUnderALock": "stall with a thread",
    "TwoConnectionsARequest": "stall over a pool",
    "OneLegPerCommit": "fault: cancel",
    "StatementRetriedAfterKill": "fault: kill",
    "AcknowledgedTooEarly": "fault: crash",
    "KeyMadeAnew": "fault: lost answer",
    "LegSkipped": "fault: lock timeout",
    "Unfenced": "fault: time passes",
    "BacksOffWithLocksHeld": "virtual time",
    "GetThenCreate": "23505",
    "ForeignKeyWithoutCascade": "23503",
    "StatusIsAnyText": "no race",
    "TakesJobsWithoutLock": "three actors",
    "LockEndsBeforeTheWork": "twenty steps",
}
"""Planted bug -> the kind that it stands for."""


_known: dict[str, Failure] = {}
"""What was made of a planted bug; a function of its token, and a frozen value, so all tests may look at one."""


async def failure_of(explorer: Explorer, name: str) -> Failure:
    """A planted bug by its token: minimised, tried and replayed."""
    if name not in _known:
        _known[name] = await _refined(explorer, name)
    return _known[name]


async def _refined(explorer: Explorer, name: str) -> Failure:
    cls = PLANTED[name]
    text = planted_bug_of(cls).token
    token = decode(text)
    scenario, conditions = scenario_of(token, cls), Conditions(token.isolation or None)
    record = await explorer.run(scenario, Replay(token.schedule), conditions)
    failure = Failure(record, text, record, 3, 200, "random(seed=8123)", found_token=text)
    async for each in refined(explorer, failure, conditions):
        failure = each
    return failure
