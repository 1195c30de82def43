"""Which known pattern explains the failure, and what people usually do about it: advice that was not run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from lab.report.anomaly import at_level
from lab.report.section import Message, Section

__all__ = ["SECTION"]


def _cause(message: Message) -> Iterator[str]:
    if (cause := message.cause) is not None:
        yield from _folded("Cause", f"{cause.name}: {cause.text}", message.width)
        if message.failure is not None and message.explanation is None and message.failure.levels:
            yield from _folded("Levels", "; ".join(map(at_level, message.failure.levels)), message.width)
        yield from _folded("Advice", cause.fix, message.width)


def _folded(title: str, text: str, width: int) -> Iterator[str]:
    indent = " " * 7
    yield from textwrap.wrap(text, width, initial_indent=f"{title:<7}", subsequent_indent=indent)


SECTION = Section("cause", _cause)
