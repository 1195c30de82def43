"""Where to read on about what the message names."""

from __future__ import annotations

from collections.abc import Iterator

from lab.report.section import Message, Section

__all__ = ["SECTION"]


def _more(message: Message) -> Iterator[str]:
    names = [message.cause.name] if message.cause is not None else []
    names += [message.explanation.name] if message.explanation is not None else []
    if names:
        yield f"More     lab explain {' '.join(name.replace(' ', '-') for name in names)}"


SECTION = Section("more", _more, whole=True)
