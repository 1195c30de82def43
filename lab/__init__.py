"""The lab: interleaves async SQLAlchemy sessions on a real PostgreSQL by a schedule, and judges what comes out.

The public names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` is not imported: the sooner `lab.cli` listens to signals, the better
if TYPE_CHECKING:
    from lab.engine.gate import point
    from lab.errors import Divergence, LabError, ScenarioError, ServerError, TokenError, UsageError, Violation
    from lab.model.outcome import ActorResult, Outcome
    from lab.model.record import ExecutionRecord
    from lab.scenario.claims import claim
    from lab.scenario.declare import Scenario, actor, invariant, planted_bug, probe
    from lab.scenario.http import http
    from lab.scenario.stated import always, no_deadlock, serializable
    from lab.schedulers.drawn import schedules
    from lab.search.direct.ledger import RaceRecord
    from lab.search.direct.pins import replays
    from lab.search.races.actions import actions
    from lab.testing import Lab, LabCase, opened, race

_PLACES = {
    "ActorResult": "lab.model.outcome",
    "ExecutionRecord": "lab.model.record",
    "Lab": "lab.testing",
    "LabCase": "lab.testing",
    "RaceRecord": "lab.search.direct.ledger",
    "opened": "lab.testing",
    "race": "lab.testing",
    "replays": "lab.search.direct.pins",
    "point": "lab.engine.gate",
    "claim": "lab.scenario.claims",
    "Divergence": "lab.errors",
    "LabError": "lab.errors",
    "ScenarioError": "lab.errors",
    "ServerError": "lab.errors",
    "TokenError": "lab.errors",
    "UsageError": "lab.errors",
    "Violation": "lab.errors",
    "Outcome": "lab.model.outcome",
    "Scenario": "lab.scenario.declare",
    "actions": "lab.search.races.actions",
    "actor": "lab.scenario.declare",
    "always": "lab.scenario.stated",
    "http": "lab.scenario.http",
    "invariant": "lab.scenario.declare",
    "no_deadlock": "lab.scenario.stated",
    "planted_bug": "lab.scenario.declare",
    "probe": "lab.scenario.declare",
    "serializable": "lab.scenario.stated",
    "schedules": "lab.schedulers.drawn",
}

__all__ = [
    "ActorResult",
    "Divergence",
    "ExecutionRecord",
    "Lab",
    "LabCase",
    "LabError",
    "Outcome",
    "RaceRecord",
    "Scenario",
    "ScenarioError",
    "ServerError",
    "TokenError",
    "UsageError",
    "Violation",
    "actions",
    "actor",
    "always",
    "claim",
    "http",
    "invariant",
    "no_deadlock",
    "opened",
    "planted_bug",
    "point",
    "probe",
    "race",
    "replays",
    "schedules",
    "serializable",
]


def __getattr__(name: str) -> object:
    try:
        place = _PLACES[name]
    except KeyError:
        raise AttributeError(f"module 'lab' has no attribute {name!r}") from None
    import importlib  # noqa: PLC0415 - the same

    value = globals()[name] = getattr(importlib.import_module(place), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
