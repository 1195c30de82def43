"""Which tasks used one session or connection at the same time, each with its line of code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lab.report.section import Message, Section

__all__ = ["SECTION"]


def _sharing(message: Message) -> Iterator[str]:
    here = f"{Path.cwd()}{os.sep}"
    for each in message.record.sharings:
        yield f"{each.first} uses one {each.what}: {each.first_place.removeprefix(here)}"
        yield f"{each.second} uses it at the same time: {each.second_place.removeprefix(here)}"


SECTION = Section("sharing", _sharing, heading="Why")
