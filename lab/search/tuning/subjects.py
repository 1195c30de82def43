"""Which scenarios are meant: one by its target, or all of a package or module."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable

from lab.checkers import CHECKERS
from lab.errors import UsageError
from lab.scenario.declare import Scenario, invariants_of, target_of
from lab.scenario.registry import discover, instance_of

__all__ = ["subjects"]


def subjects(targets: Iterable[str], bug: str = "") -> list[Scenario]:
    """The scenarios, each once. Raises `UsageError` for one that cannot be found or made, or has no such invariant."""
    found: dict[str, Scenario] = {}
    for target in targets:
        for scenario in _meant(target):
            found.setdefault(target_of(scenario), scenario)
    if bug:
        for scenario in found.values():
            _refuse_unknown(bug, scenario)
    return list(found.values())


def _meant(target: str) -> list[Scenario]:
    try:
        return [instance_of(target)]
    except UsageError:
        if ":" in target or not _is_module(target):
            raise
    scenarios = [instance_of(target_of(cls)) for cls in discover(target)]
    if not scenarios:
        raise UsageError(f"{target} holds no scenario")
    return scenarios


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _refuse_unknown(bug: str, scenario: Scenario) -> None:
    known = [*(each.name for each in invariants_of(type(scenario))), *CHECKERS]
    if bug not in known:
        near = difflib.get_close_matches(bug, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(map(repr, known))}"
        raise UsageError(f"{target_of(scenario)} has no invariant {bug!r}{hint}")
