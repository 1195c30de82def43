"""The failure message, in the order in which a reader needs it.

What broke; the smallest story; why; how sure; how to replay.

To add a section, write its file and add its line to `SECTIONS`; CONTRIBUTING.md shows both.
"""

from __future__ import annotations

from lab.model.record import ExecutionRecord, Failure
from lab.model.table import Table
from lab.model.text import count
from lab.report.section import WIDTH, Message, Section, explanation_of, laid_out

__all__ = ["SECTIONS", "count", "execution_report", "explanation_of", "failure_report"]

SECTIONS = Table(
    Section,
    "SECTION",
    "lab.report.headline",
    "lab.report.setting",
    "lab.report.story",
    "lab.report.through",
    "lab.report.relevance",
    "lab.report.cause",
    "lab.report.anomaly",
    "lab.report.serial",
    "lab.report.ends",
    "lab.report.deadlocks",
    "lab.report.waits",
    "lab.report.sharing",
    "lab.report.leaks",
    "lab.report.unsearched",
    "lab.report.more",
    "lab.report.how_to_replay",
)
"""In the order in which they stand in the message."""


def failure_report(failure: Failure, *, replay_hint: str = "lab replay TOKEN", width: int = WIDTH) -> str:
    """The whole message for a failure, as plain text of several lines. In the lines of the hint TOKEN is replaced."""
    return laid_out(SECTIONS.values(), Message(failure.record, failure, replay_hint, width))


def execution_report(record: ExecutionRecord, *, width: int = WIDTH) -> str:
    """One execution without a hunt around it: what broke, if anything, and the story."""
    return laid_out(SECTIONS.values(), Message(record, width=width))
