"""Which known pattern explains the failure, and what people usually do about it; or what was not followed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from lab.model.text import cut
from lab.report.anomaly import at_level
from lab.report.section import Message, Section
from lab.report.sql import statement_text
from lab.report.story import WIDTH

__all__ = ["SECTION"]

ASKED = frozenset({"invariant", "serial"})
"""The checkers whose findings may come of what somebody read."""
LONGEST = 200
"""Characters of a statement that was not followed."""


def _cause(message: Message) -> Iterator[str]:
    cause = message.cause
    if cause is not None:
        yield from _folded("Cause", f"{cause.name}: {cause.text}")
        if message.failure is not None and message.explanation is None and message.failure.levels:
            yield from _folded("Levels", "; ".join(map(at_level, message.failure.levels)))
        yield from _folded("Fix", cause.fix)
    elif unseen := _not_followed(message):
        yield from _folded("Cause", f"not recognised; the reads of these statements were not followed: {unseen}")


def _folded(title: str, text: str) -> Iterator[str]:
    indent = " " * 7
    yield from textwrap.wrap(text, WIDTH, initial_indent=f"{title:<7}", subsequent_indent=indent)


def _not_followed(message: Message) -> str:
    """The statements whose reads may explain what broke, where nothing else does; "" for none."""
    record = message.record
    asked = record.failed and record.findings[0].checker in ASKED and record.trace.overlapping
    if message.explanation is not None or not asked:
        return ""
    return "; ".join(cut(statement_text(each), LONGEST) for each in record.unseen)


SECTION = Section("cause", _cause)
