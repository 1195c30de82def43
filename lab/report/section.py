"""What a section of the failure message is, and what it is made from."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial

from lab.checkers import CHECKERS
from lab.checkers.causes import cause_of
from lab.checkers.isolation.explanation import Explanation, explain
from lab.checkers.isolation.judge import judge
from lab.checkers.isolation.stale import Stale, stale_reads
from lab.model.cause import Cause
from lab.model.record import ExecutionRecord, Failure
from lab.report.contained import lines_of, or_else

__all__ = ["WIDTH", "Message", "Part", "Section", "explanation_of", "laid_out", "parts", "stale_of"]


WIDTH = 100
"""Columns of a report where a terminal does not have fewer."""


@dataclass(frozen=True)
class Message:
    """What the message is about: one execution, and the failure that it stands for where a search met it."""

    record: ExecutionRecord
    failure: Failure | None = None
    replay_hint: str = ""
    """Ways to replay it, one a line, in which TOKEN stands for the token."""
    width: int = WIDTH
    """Columns that there are. With fewer than `WIDTH`, lines that need not be whole keep to them."""

    @cached_property
    def _explained(self) -> tuple[Explanation | None, str]:
        return or_else(lambda: explanation_of(self.record), None)

    @property
    def explanation(self) -> Explanation | None:
        """The anomaly that explains the failure."""
        return self._explained[0]

    @cached_property
    def stale(self) -> tuple[Stale, ...]:
        """What was read and replaced before its reader acted on it."""
        return stale_of(self.record)

    @property
    def defects(self) -> tuple[str, ...]:
        """What the lab could not record or explain of it, since it is wrong itself, as sentences."""
        return tuple(filter(None, (*self.record.defects, self._explained[1], self._caused[1])))

    @property
    def without_overlap(self) -> bool:
        """Whether it fails without any overlap. Where a search met it, that was tried in a run of its own."""
        if self.failure is not None:
            return self.failure.without_overlap
        checkers = [CHECKERS.get(finding.checker) for finding in self.record.findings]
        known = bool(checkers) and not any(checker is None or checker.race for checker in checkers)
        return known and self.record.is_serial

    @cached_property
    def _caused(self) -> tuple[Cause | None, str]:
        return or_else(lambda: cause_of(self.record), None)

    @property
    def cause(self) -> Cause | None:
        """The pattern that explains the failure, where one was recognised."""
        return self._caused[0]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the message. One that has no lines is left out, with its heading."""

    name: str
    lines: Callable[[Message], Iterable[str]]
    heading: str = ""
    """Stands above the lines, which are then indented. Neighbours with the same heading share it."""
    apart: bool = True
    """An empty line stands before it, but where it shares a heading."""
    whole: bool = False
    """No line of it is cut, however long it is: half a token is none."""


def explanation_of(record: ExecutionRecord) -> Explanation | None:
    """The anomaly that explains a failure: the strongest one of its history."""
    if record.history is None:
        return None
    anomalies = judge(record.history).anomalies
    return explain(anomalies[0], record.history, timed=True) if anomalies else None


def stale_of(record: ExecutionRecord) -> tuple[Stale, ...]:
    """The stale reads by which a failure is explained; none where nothing broke, or where the lab is wrong itself."""
    nothing: tuple[Stale, ...] = ()
    if not record.failed:
        return nothing
    return or_else(lambda: stale_reads(record.trace, record.history, explanation_of(record)), nothing)[0]


@dataclass(frozen=True, slots=True)
class Part:
    """A section with its lines. Text and pages are made from the same ones."""

    name: str
    heading: str
    lines: tuple[str, ...]
    apart: bool = True
    whole: bool = False


def parts(sections: Iterable[Section], message: Message) -> list[Part]:
    """Those sections that have something to say of this message, in their order."""
    made = ((each, lines_of(each.name, partial(each.lines, message), whole=each.whole)) for each in sections)
    return [Part(each.name, each.heading, tuple(lines), each.apart, each.whole) for each, lines in made if lines]


def laid_out(sections: Iterable[Section], message: Message) -> str:
    """The message as plain text of several lines."""
    text: list[str] = []
    heading = ""
    for part in parts(sections, message):
        shared = bool(part.heading) and part.heading == heading
        if text and part.apart and not shared:
            text.append("")
        heading = part.heading
        if heading and not shared:
            text.append(heading)
        lines = [f"  {line}" for line in part.lines] if heading else part.lines
        text += lines if part.whole or message.width >= WIDTH else _folded(lines, message.width)
    return "\n".join(text)


def _folded(lines: Iterable[str], width: int) -> Iterable[str]:
    """Lines that are too long on several, the others of which begin a little to the right of the first."""
    for line in lines:
        if len(line) <= width:
            yield line
            continue
        indent = " " * (len(line) - len(line.lstrip()))
        yield from textwrap.wrap(
            line.strip(), width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False
        )
