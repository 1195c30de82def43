"""What could have been in another order and was not searched, and what else is to be known of an execution."""

from __future__ import annotations

from collections.abc import Iterator

from lab.report.section import Message, Section

__all__ = ["SECTION"]


def _unsearched(message: Message) -> Iterator[str]:
    yield from (f"Not searched: {each}" for each in message.record.unsearched)
    yield from (f"Note: {each}" for each in message.record.notes)


SECTION = Section("unsearched", _unsearched)
