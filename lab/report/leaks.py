"""What actors left behind, each with the line that opened it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lab.report.section import Message, Section

__all__ = ["SECTION"]


def _leaks(message: Message) -> Iterator[str]:
    if any(each.checker == "leak" for each in message.record.findings):
        here = f"{Path.cwd()}{os.sep}"
        yield from (each.told(here) for each in message.record.leaks)


SECTION = Section("leaks", _leaks, heading="Why")
