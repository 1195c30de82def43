"""What each actor of a stalled execution has and waits for, with the lines of its code, and who waits in a circle."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model.stall_text import circle_text, stall_text
from lab.report.places import places_of
from lab.report.section import Message, Section
from lab.report.sql import statement_text

__all__ = ["SECTION"]


def _stalls(message: Message) -> Iterator[str]:
    stalls, places = message.record.stalls, places_of(message.record)
    for stall in stalls:
        yield stall_text(stall, stalls, statement=statement_text, places=places)
    if circle := circle_text(stalls):
        yield f"a circle: {circle}"


SECTION = Section("stalls", _stalls, heading="Why")
