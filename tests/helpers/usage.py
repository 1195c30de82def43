"""One race in many shapes of code: two requests that each add one to a counter, by reading it first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lab import Scenario
from lab.explore import Conditions, Explorer
from lab.model.replay_token import decode, scenario_of
from lab.search.hunt import Hunt
from lab.shrink.replays import replay_times

EXECUTIONS = 24
"""Two actors of three statements have 6 orders up to equivalence; the shapes here have at most some more steps."""


@dataclass(frozen=True)
class Counting(Scenario):
    """A scenario that is wrong as it stands, and right when its actors lock what they read."""

    locked: bool = False


async def told_apart(explorer: Explorer, scenario: Counting, *, anomaly: str | None = "P4") -> str:
    """Assert that the wrong variant is found, named and replayed, and that the right one passes; return the report."""
    wrong = await Hunt.of(scenario, executions=EXECUTIONS).run(explorer)
    assert wrong.verdict == "fail", wrong.reason
    (failure,) = wrong.failures
    assert failure.anomaly == anomaly, failure.report
    assert failure.execution <= 10, "a race of two short transactions is among the first"
    token = decode(failure.token)
    again = await replay_times(explorer, scenario_of(token, type(scenario)), token.schedule, Conditions(), 5)
    assert (again.identical, again.diverged, again.verdict) == (5, 0, "fail")

    right = await Hunt.of(replace(scenario, locked=True), executions=EXECUTIONS).run(explorer)
    assert right.verdict == "pass", right.reason or right.failures
    return failure.report
