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
            yield f"{name} {result.kind}: {result.text}{state}{_raised_at(message, name)}"
            yield from hints(message.record, name)


def _raised_at(message: Message, name: str) -> str:
    """The line that raised an error, where no step of the story has it."""
    record = message.record
    line = record.raised.get(name)
    if line is None or record.outcome.results[name].kind is not ResultKind.RAISED:
        return ""
    told = {(each.file, each.line) for each in record.origins if each is not None}
    return "" if (line.file, line.line) in told else f"  {line.file.rpartition('/')[2]}:{line.line}"


SECTION = Section("results", _results, heading="Why")
