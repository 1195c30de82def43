"""The way through libraries: from a line of the user's to the line of a library that sent the statement."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from lab.model.origin import Line
from lab.model.text import listed
from lab.report.places import calls_of, places_of
from lab.report.section import Message, Section

__all__ = ["SECTION"]

MOST = 3
"""Lines of libraries that are shown of one way: the first, and the last ones."""


def _through(message: Message) -> Iterator[str]:
    record = message.record
    places = places_of(record)
    ways: dict[str, list[str]] = {}
    for number, place in places.items():
        origin = record.origin(number)
        calls = () if origin is None else calls_of(origin)
        if calls:
            ways.setdefault(" → ".join([place, *_shown(calls)]), []).append(f"#{number}")
    for way, steps in ways.items():
        yield from textwrap.wrap(f"{listed(steps, most=MOST * 2)}: {way}", message.width - 2, subsequent_indent="  ")


def _shown(calls: tuple[Line, ...]) -> list[str]:
    texts = [f"{each.file}:{each.line} {each.function}" for each in calls]
    return texts if len(texts) <= MOST else [texts[0], "…", *texts[1 - MOST :]]


SECTION = Section("through", _through, heading="Through libraries")
