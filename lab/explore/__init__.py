"""Runs scenarios on a server: the one place that puts engine, database, schedulers and checkers together.

May import: errors, scenario, model, schedulers, engine, postgres, checkers.
"""

from __future__ import annotations

from lab.explore.explorer import STEP_LIMIT, Explorer

__all__ = ["STEP_LIMIT", "Explorer"]
