"""What the page of a failure is made from: one frozen value, the same that the text and `--json` are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from lab.model.decision import Go
from lab.model.record import Failure
from lab.model.trace import Trace
from lab.report.contained import or_else
from lab.report.data import claims_data, plain, story_data
from lab.report.failure import SECTIONS
from lab.report.html.strips import strips
from lab.report.html.tenures import tenures
from lab.report.html.views import views
from lab.report.places import places_of
from lab.report.section import Message, Part, parts
from lab.report.sql import step_text
from lab.scenario.declare import target_of

__all__ = ["FailurePage", "failure_page"]

MOST_STEPS = 1000
"""Of a longer execution no views are shown: an actor that loops makes thousands of steps that all look the same."""
MOST_ROWS = 60
"""Rows that have a strip. Those that were written come first."""


@dataclass(frozen=True)
class FailurePage:
    """One execution as it is drawn. All values are plain, as JSON has them, so they may cross to another process."""

    target: str
    parts: Sequence[Mapping[str, Any]]
    """The sections of the text report: name, heading, lines, key of what is drawn in its place."""
    story: Mapping[str, Any]
    """As `lab.report.data.story_data` has it."""
    explanation: Mapping[str, Any] | None = None
    cause: Mapping[str, Any] | None = None
    relevance: Mapping[str, Any] = field(default_factory=dict)
    levels: Sequence[Mapping[str, Any]] = ()
    token: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else is known of a failure: when it was met, how it was shrunk, how often it was the same."""
    said: Sequence[str] = ()
    """What stands below the headline beside what the text has there."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Number of a step -> `service.py:41`."""
    granted: Mapping[str, int] = field(default_factory=dict)
    """Number of a step that waits -> the step after which its lock is there, while it is still frozen."""
    strips: Sequence[Mapping[str, Any]] = ()
    views: Sequence[Mapping[str, Any]] = ()
    rows_left_out: int = 0
    passing: Sequence[Mapping[str, Any]] = ()
    """The steps of the nearest schedule that passed: actor, text."""
    rows: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The final rows of each table."""

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> FailurePage:
        """From what `dump` made, as JSON has it."""
        return cls(**values)

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def failure_page(message: Message, *, token: str = "", said: Sequence[str] = ()) -> FailurePage:
    """The page of an execution, or of the failure that it stands for. `token` and `said`: where there is none."""
    record, failure = message.record, message.failure
    nothing: dict[str, Any] = {}
    drawn, defect = or_else(partial(_drawn, message), nothing)
    made = parts(SECTIONS.values(), message)
    if defect:
        made = [*made, Part("defect", "", (defect,))]
    return FailurePage(
        target_of(record.scenario),
        plain(made),
        story_data(record),
        explanation=plain(message.explanation),
        cause=plain(message.cause),
        relevance={} if failure is None else claims_data(failure.relevance),
        levels=() if failure is None else plain(failure.levels),
        token=token if failure is None else failure.token,
        said=tuple(said),
        facts={} if failure is None else _facts(failure),
        places={str(number): place for number, place in places_of(record).items()},
        granted=_granted(record.trace),
        passing=_passing(message),
        rows=plain(record.outcome.rows),
        **drawn,
    )


def _facts(failure: Failure) -> dict[str, Any]:
    found, names = failure.found.trace, ("execution", "executions", "scheduler", "identical", "replays", "divergence")
    more = {name: getattr(failure, name) for name in (*names, "least", "late", "without_overlap", "found_token")}
    return {**more, "found_steps": len(found), "found_preemptions": found.preemptions}


def _drawn(message: Message) -> dict[str, Any]:
    """What the history of the execution shows, where it was recorded."""
    record = message.record
    if record.history is None:
        return {}
    known = tenures(record.history, record.trace)
    all_of = strips(record.trace, known)
    shown = sorted(all_of, key=lambda each: len(each.versions) == 1)[:MOST_ROWS]
    seen = views(record.trace, known, shown, record.stalls) if len(record.trace) <= MOST_STEPS else ()
    return {"strips": plain(shown), "views": plain(seen), "rows_left_out": len(all_of) - len(shown)}


def _granted(trace: Trace) -> dict[str, int]:
    """For each wait, the step after which the waiter could have been chosen again."""
    waiting: dict[str, int] = {}
    found: dict[str, int] = {}
    for step in trace:
        for actor in [each for each in waiting if Go(each) in step.alternatives]:
            found[str(waiting.pop(actor))] = step.number - 1
        if step.wait is not None:
            waiting[step.actor] = step.number
    return found


def _passing(message: Message) -> list[dict[str, Any]]:
    passed = None if message.failure is None else message.failure.relevance.passing
    return [] if passed is None else [{"actor": step.actor, "text": _text(step)} for step in passed]


def _text(step: Any) -> str:
    return str(step.action.text) if step.is_fault else step_text(step)
