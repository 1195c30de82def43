"""What a section of the failure message is, and what it is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from lab.checkers.isolation.explanation import Explanation, explain
from lab.checkers.isolation.judge import judge
from lab.model.record import ExecutionRecord, Failure

__all__ = ["Message", "Section", "explanation_of", "laid_out"]


@dataclass(frozen=True)
class Message:
    """What the message is about: one execution, and the failure that it stands for where a search met it."""

    record: ExecutionRecord
    failure: Failure | None = None
    replay_hint: str = ""
    """What stands before the token."""

    @cached_property
    def explanation(self) -> Explanation | None:
        """The anomaly that explains the failure."""
        return explanation_of(self.record)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the message. One that has no lines is left out, with its heading."""

    name: str
    lines: Callable[[Message], Iterable[str]]
    heading: str = ""
    """Stands above the lines, which are then indented. Neighbours with the same heading share it."""
    apart: bool = True
    """An empty line stands before it, but where it shares a heading."""


def explanation_of(record: ExecutionRecord) -> Explanation | None:
    """The anomaly that explains a failure: the strongest one of its history."""
    if record.history is None:
        return None
    anomalies = judge(record.history).anomalies
    return explain(anomalies[0], record.history, timed=True) if anomalies else None


def laid_out(sections: Iterable[Section], message: Message) -> str:
    """The message as plain text of several lines."""
    text: list[str] = []
    heading = ""
    for section in sections:
        lines = list(section.lines(message))
        if not lines:
            continue
        shared = bool(section.heading) and section.heading == heading
        if text and section.apart and not shared:
            text.append("")
        heading = section.heading
        if heading and not shared:
            text.append(heading)
        text += [f"  {line}" for line in lines] if heading else lines
    return "\n".join(text)
