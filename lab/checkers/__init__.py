"""Checkers: pure functions that judge an execution. Invariants, which ask the database, are run by `lab.explore`.

May import: errors, scenario, model.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.checkers.stalls import stall
from lab.checkers.unexpected import unexpected_results
from lab.model.outcome import Outcome
from lab.model.record import Finding, Stall
from lab.scenario.declare import Scenario

__all__ = ["objections"]


def objections(scenario: Scenario, outcome: Outcome, stalls: Sequence[Stall]) -> list[Finding]:
    """What the checkers that need no database object to, the gravest first."""
    return [*stall(outcome, stalls), *unexpected_results(scenario, outcome)]
