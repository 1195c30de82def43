"""What each actor returned or raised."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model.outcome import ResultKind
from lab.report.hints import hints
from lab.report.section import Message, Section

__all__ = ["SECTION"]


def _results(message: Message) -> Iterator[str]:
    for name, result in message.record.outcome.results.items():
        if result.kind is ResultKind.RETURNED:
            value = "" if result.value is None else f" {result.text}"
            yield f"{name} returned{value}"
        elif result.kind is ResultKind.UNFINISHED:
            yield f"{name} {result.text}"
        else:
            state = f" ({result.sqlstate})" if result.sqlstate else ""
            yield f"{name} {result.kind}: {result.text}{state}"
            yield from hints(message.record, name)


SECTION = Section("results", _results, heading="Why")
