"""A failure as a hunt hands it out: plain values, that may come from another process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["ReportedFailure"]


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """A failure as a hunt hands it out: plain values, so that it may come from another process."""

    token: str
    checker: str
    anomaly: str | None
    invariant: str | None
    broken: str
    """The sentence that does not hold: of an invariant, or what the checker insists on."""
    preemptions: int
    steps: int
    execution: int
    identical: int
    replays: int
    report: str
    needed: str = ""
    """What the violation needs, as each was taken away in a run of its own; "" if nothing was tried."""
    irrelevant: str = ""
    """What makes no difference, as each was turned round in a run of its own."""
    least: bool = False
    """Every schedule with fewer preemptions was run, and none of them breaks it."""
    late: bool = False
    """Minimising was ended by its time."""
    sqlstate: str = ""
    """Of the error with which an actor ended unexpectedly, "" if PostgreSQL gave none."""
    explanation: Mapping[str, Any] | None = None
    """The anomaly explained, as `lab.checkers.isolation.explanation.Explanation` has it; None where there is none."""
    cause: Mapping[str, Any] | None = None
    """The pattern that was recognised, as `lab.model.cause.Cause` has it; None where there is none."""
    found_token: str = ""
    """The token of the execution that showed it first, before it was minimised."""
    fresh_process: bool | None = None
    """Whether the token broke the same in a process that had run nothing before; None where that was not tried."""
    reproduced_by: str = ""
    """The command that reproduces it in such a process where the token does not, if one was found."""
    without_overlap: bool = False
    """It breaks as well where no actors overlap."""
    about_database: bool = False
    """The database broke a promise of its isolation level."""
    levels: Sequence[Mapping[str, Any]] = ()
    """What the same order gave at the levels above: isolation, refused (actor, SQLSTATE), broken."""
    relevance: Mapping[str, Any] = field(default_factory=dict)
    """What `needed` and `irrelevant` say, as `lab.model.record.Relevance` has it."""
    story: Mapping[str, Any] = field(default_factory=dict)
    """The execution step by step, as `lab.report.data.story_data` makes it."""
    page: Mapping[str, Any] = field(default_factory=dict)
    """What its page is made from, as `lab.report.html.contents.FailurePage` has it; empty where none was asked for."""

    @property
    def key(self) -> tuple[str, str]:
        """What makes two violations the same, however different the schedules are."""
        return self.checker, self.broken

    def shown(self) -> dict[str, Any]:
        """For programs: all but the report and the page for people."""
        return {key: value for key, value in asdict(self).items() if key not in ("report", "page")}
