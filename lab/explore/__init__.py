"""Runs scenarios on a server: the one place that puts engine, database, schedulers and checkers together.

May import: errors, scenario, model, schedulers, engine, postgres, checkers.
"""

from __future__ import annotations

from lab.explore.conditions import STEP_LIMIT, Conditions
from lab.explore.explorer import Explorer

__all__ = ["STEP_LIMIT", "Conditions", "Explorer"]
