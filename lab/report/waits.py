"""What each actor of a stalled execution waits for, with the place in its code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lab.report.section import Message, Section
from lab.report.sql import statement_text

__all__ = ["SECTION"]


def _stalls(message: Message) -> Iterator[str]:
    for stall in message.record.stalls:
        if stall.lock is not None:
            holders = " and ".join(stall.lock.holders) or "somebody"
            yield f"{stall.actor} waits for a lock of {holders}: {statement_text(stall.place)}"
        else:
            place = stall.place.removeprefix(f"{Path.cwd()}{os.sep}")
            yield f"{stall.actor} waits in the process: {place}"


SECTION = Section("stalls", _stalls, heading="Why")
