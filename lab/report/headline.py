"""What broke: a headline for each finding, what was expected, and the scenario."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.checkers import CHECKERS
from lab.checkers.deadlocks import DEADLOCK
from lab.checkers.isolation.promises import HEADLINE as BROKEN_PROMISE
from lab.checkers.isolation.promises import ISOLATION
from lab.model.record import Finding
from lab.report.section import Message, Section
from lab.scenario.declare import target_of

__all__ = ["SECTION"]

NOT_A_RACE = "FAILS ALREADY WITHOUT OVERLAP: NOT A RACE"
IN_BETWEEN = "INVARIANT BROKEN IN BETWEEN"
"""Above what holds again at the end. It needs no race: whoever reads at that moment sees it."""


def _what_broke(message: Message) -> Iterator[str]:
    record = message.record
    if not record.failed:
        yield f"{'NO VIOLATION' if record.passed else 'NOT WHOLLY CHECKED'}  {target_of(record.scenario)}"
        yield from record.not_checked
        return
    if message.without_overlap and not all(finding.healed for finding in record.findings):
        yield NOT_A_RACE
    for finding in record.findings:
        yield from _of(finding, message)
    yield f"scenario {target_of(record.scenario)}  {record.scenario!r}"
    yield from record.not_checked


def _of(finding: Finding, message: Message) -> Iterator[str]:
    checker = CHECKERS.get(finding.checker)
    if finding.healed:
        headline = IN_BETWEEN
    elif checker is None:  # the lab does not ship this checker, so the finding's own words are the headline
        headline = finding.checker.replace("_", " ").upper() or "VIOLATION"
    elif checker.summary:
        yield f"{checker.headline}  {checker.summary}"
        return
    elif checker.explained and message.record.database_fault is not None:
        known = any(each.checker == ISOLATION for each in message.record.findings)
        headline = checker.headline if known else BROKEN_PROMISE
    elif checker.explained and message.explanation is not None:
        headline = message.explanation.meaning.upper()
    elif checker.explained and message.record.deadlocks:
        headline = DEADLOCK
    else:
        headline = checker.headline
    yield f"{headline}  {finding.message}".rstrip()
    if finding.location:
        yield f'invariant "{finding.name}"  {_short(finding)}'.rstrip()
    elif finding.name:
        yield f'expected "{finding.name}"'


def _short(finding: Finding) -> str:
    path, _, line = finding.location.rpartition(":")
    try:
        return f"{Path(path).relative_to(Path.cwd())}:{line}"
    except ValueError:
        return f"{Path(path).name}:{line}"


SECTION = Section("headline", _what_broke)
