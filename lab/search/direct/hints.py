"""How a failure of a test is replayed: lines that can be pasted, and only where they would work."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

from lab.scenario.declare import Scenario, target_of
from lab.scenario.race import is_race

__all__ = ["FIXTURE", "hints", "is_of_a_race", "racing_function", "why_not_called"]

FIXTURE = "lab"
_LOCAL = "<locals>"


def hints(scenario: Scenario, again: str, *, watched: bool) -> str:
    """Lines in which TOKEN stands for the token: for the test itself, and for `lab replay` where that finds the same.

    `again` replays it in the test, "" where that is not known; `watched`: the test has engines watched, of
    which a command line knows nothing.
    """
    lines = [again] if again else []
    target = target_of(scenario)
    if is_race(type(scenario)):
        function = racing_function(target)
        found = function is not None and not why_not_called(function)
    else:
        found = _LOCAL not in target and not watched
    if found and not target.startswith("__main__:"):
        lines.append("lab replay TOKEN")
    if not lines:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        lines.append(f"LAB_REPLAY=TOKEN pytest {test}" if test else 'lab.race(…, replay="TOKEN")')
    return "\n".join(lines)


def racing_function(target: str) -> Callable[..., Any] | None:
    """The function in which a race was called, of an imported module, by the target of the race; None if it is gone.

    A race in a function inside another one is reached by calling the outer one.
    """
    module, _, name = target.partition(":")
    outer, local, _ = name.partition(f".{_LOCAL}")
    found: Any = sys.modules.get(module)
    parts = outer.split(".")
    for part in parts if local else parts[:-1]:
        if isinstance(found, type):
            try:
                found = found()
            except Exception:  # noqa: BLE001 - a class that only a test runner can make
                return None
        found = getattr(found, part, None)
    return found if callable(found) else None


def is_of_a_race(target: str) -> bool:
    """Whether a target of an imported module names a race: a function stands where a class would."""
    function = racing_function(target)
    return inspect.isroutine(function) or hasattr(function, "hypothesis")


def why_not_called(function: Callable[..., Any]) -> str:
    """Why only a test runner can call a function that races; "" if the lab can."""
    if hasattr(function, "hypothesis"):
        return "has data that Hypothesis draws"
    if not inspect.iscoroutinefunction(function):
        return "is no coroutine function"
    for name, each in inspect.signature(function).parameters.items():
        if each.default is inspect.Parameter.empty and name != FIXTURE:
            return f"asks for {name!r}, which only a test runner gives"
    return ""
