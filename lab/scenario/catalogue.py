"""The catalogue: what `lab list` knows of each scenario."""

from __future__ import annotations

from typing import Any

from lab.scenario.checks import SERIAL_BY_DEFAULT, serial_invariants_of
from lab.scenario.declare import Scenario, actors_of, invariants_of, kind_of, planted_bug_of, target_of
from lab.scenario.registry import discover

__all__ = ["entries", "entry"]


def entries(package: str | None = None) -> list[dict[str, Any]]:
    """An entry for each scenario of a package, or of the project. Raises `UsageError` if it cannot be imported."""
    return [entry(cls) for cls in discover(package)]


def entry(cls: type[Scenario]) -> dict[str, Any]:
    """One scenario as plain values: target, kind, of, token, isolation, actors, invariants, checks on by default."""
    bug = planted_bug_of(cls)
    return {
        "target": target_of(cls),
        "kind": kind_of(cls),
        "of": target_of(bug.of) if bug else None,
        "token": (bug.token or None) if bug else None,
        "isolation": cls.isolation,
        "actors": [actor.name for actor in actors_of(cls)],
        "invariants": [invariant.name for invariant in invariants_of(cls)],
        "checks": [check.name for check in serial_invariants_of(cls) if check is SERIAL_BY_DEFAULT],
    }
