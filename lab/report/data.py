"""One execution as data for programs: what the message says in words. `docs/report.schema.json` has the form.

A field is never left out where it has nothing to say: then it is null, empty or false.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from lab.model.decision import Pause, Strike
from lab.model.decision_text import decision_text
from lab.model.origin import Origin
from lab.model.outcome import ActorResult
from lab.model.record import ExecutionRecord, Relevance
from lab.model.stall import circle_of
from lab.model.trace import Action, ActionKind, Step
from lab.report.section import stale_of
from lab.report.sql import step_text

__all__ = ["claims_data", "plain", "story_data"]


def plain(value: Any) -> Any:
    """A value as JSON has it, the same in this process as from another one. Dataclasses become objects."""
    return json.loads(json.dumps(value, default=_of_a_dataclass))


def _of_a_dataclass(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(value)


def claims_data(relevance: Relevance) -> dict[str, Any]:
    """What was tried of a failure: its claims, without the trace that passed, which is no plain value."""
    return {key: value for key, value in plain(relevance.claims).items() if key != "passing"}


def story_data(record: ExecutionRecord) -> dict[str, Any]:
    """The steps of an execution, how it ended, and what was found in it."""
    story: dict[str, Any] = plain(
        {
            "isolation": record.isolation,
            "ending": record.outcome.ending,
            "preemptions": record.trace.preemptions,
            "context_switches": record.trace.context_switches,
            "actors": record.trace.actors,
            "steps": [_of_a_step(step, record.origin(step.number)) for step in record.trace],
            "results": {name: _of_a_result(result) for name, result in record.outcome.results.items()},
            "findings": record.findings,
            "anomalies": record.anomalies,
            "stale": stale_of(record),
            "deadlocks": record.deadlocks,
            "stalls": record.stalls,
            "circle": circle_of(record.stalls),
            "sharings": record.sharings,
            "leaks": record.leaks,
            "serial": record.serial,
            "unseen": record.unseen,
            "unsearched": record.unsearched,
            "notes": record.notes,
        }
    )
    return story


def _of_a_step(step: Step, origin: Origin | None) -> Mapping[str, Any]:
    action, chosen = step.action, step.chosen
    sql = action.text if action.kind is ActionKind.STATEMENT else None
    return {
        "number": step.number,
        "actor": step.actor or None,
        "at": None if origin is None else origin.shown(),
        "kind": action.kind,
        "text": action.text if step.is_fault else step_text(step),
        "sql": sql,
        "parameters": action.parameters,
        "label": _label(action),
        "database": action.database,
        "result": step.result,
        "wait": step.wait,
        "woken": step.woken,
        "pause": chosen.place if isinstance(chosen, Pause) else None,
        "fault": chosen.fault if isinstance(chosen, Strike) else None,
        "preempted": step.preempted or None,
        "decision": decision_text(chosen),
        "alternatives": [decision_text(each) for each in step.alternatives],
    }


def _label(action: Action) -> str | None:
    """What a point, a savepoint or a sleep is called."""
    named = action.kind not in (ActionKind.STATEMENT, ActionKind.FAULT)
    return action.text if named and action.text else None


def _of_a_result(result: ActorResult) -> Mapping[str, str]:
    return {"kind": result.kind, "text": result.text, "sqlstate": result.sqlstate, "detail": result.detail}
