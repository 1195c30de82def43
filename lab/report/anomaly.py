"""An explained anomaly as text: the "Why" of the failure message."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from lab.checkers import CHECKERS
from lab.checkers.isolation.explanation import Explanation, Link
from lab.errors import LONGEST_MESSAGE
from lab.model.record import AtLevel, ExecutionRecord
from lab.model.text import cut
from lab.report.section import Message, Section
from lab.report.sql import statement_text

__all__ = ["SECTION", "anomaly_lines", "at_level"]

WIDTH = 116
"""Columns that a line may take; it stands two columns to the right."""
MOST_STATEMENTS = 4
"""That are named where reads were not followed."""


def anomaly_lines(explanation: Explanation) -> list[str]:
    """One line for each edge with its statements in a column of their own, then the name, then what the level says."""
    sentences = [_sentence(link) for link in explanation.links]
    where = [f"({_where(link)})" for link in explanation.links]
    room = WIDTH - 3 - max(map(len, where))
    width = max((len(line) for line in sentences if len(line) <= room), default=0)
    edges = [line for pair in zip(sentences, where, strict=True) for line in _edge(*pair, width, room)]
    return [*edges, explanation.summary, explanation.verdict]


def _edge(text: str, where: str, width: int, room: int) -> Iterator[str]:
    """The sentence and the statements beside it; a long sentence is broken, and its last line has the statements."""
    if len(text) <= room:
        yield f"{text:<{width}}   {where}"
        return
    *lines, last = textwrap.wrap(text, room, subsequent_indent="  ")
    yield from lines
    yield f"{last:<{width}}   {where}"


def _sentence(link: Link) -> str:
    """What it says, in as many characters as are read: names and values in it may be of any length."""
    return cut(f"{link.before} < {link.after}: {link.sentence}" if link.after else link.sentence, LONGEST_MESSAGE)


def _where(link: Link) -> str:
    steps = "→".join(f"#{step}" for step in link.steps)
    return f"{link.kind}, {steps}" if link.after else steps


def _anomaly(message: Message) -> Iterator[str]:
    """The anomaly that explains the failure, what the same order gave at the levels above, and what is not known."""
    yield from message.defects
    if message.explanation is not None:
        levels = message.failure.levels if message.failure is not None else ()
        *lines, verdict = anomaly_lines(message.explanation)
        yield from lines
        yield "; ".join([verdict, *map(at_level, levels[:1])])
        yield from map(at_level, levels[1:])
    if message.explanation is not None or _may_be_one(message.record):
        yield from _not_followed(message.record.unseen)


def _may_be_one(record: ExecutionRecord) -> bool:
    """Whether an anomaly might explain what broke: nothing else is known that does."""
    found = [CHECKERS.get(finding.checker) for finding in record.findings]
    return not record.deadlocks and any(checker is not None and checker.explained for checker in found)


def _not_followed(statements: Sequence[str]) -> Iterator[str]:
    """What the history does not know, which may hide an anomaly, or a stronger one."""
    texts = [statement_text(each) for each in statements]
    if not texts:
        return
    yield "reads that were not followed, so that what they looked at is not known:"
    yield from (f"  {cut(text, WIDTH - 2)}" for text in texts[:MOST_STATEMENTS])
    if (more := len(texts) - MOST_STATEMENTS) > 0:
        yield f"  and {more} more"


def at_level(level: AtLevel) -> str:
    """What happened in the same order at another level. It was run once."""
    names = " and ".join(name for name, _ in level.refused)
    states = ", ".join(dict.fromkeys(state or "stale data" for _, state in level.refused))
    if not level.refused:
        return f"at {level.isolation} {'it breaks as well' if level.broken else 'nothing breaks'} (ran: 1 of 1)"
    aborted = f"at {level.isolation} {names} {'is' if len(level.refused) == 1 else 'are'} aborted"
    return f"{aborted} ({states}; ran: 1 of 1){', and the same breaks' if level.broken else ''}"


SECTION = Section("anomaly", _anomaly, heading="Why")
