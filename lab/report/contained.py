"""Keeps a defect of the lab's own from taking a report away, and a report from doing anything to a terminal.

What is recorded and explained comes from code of the user's, of every kind. Where explaining it fails, the finding is
true all the same: so a part that fails says so in one sentence, and the others stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from lab.errors import defect, printable
from lab.model.text import cut

__all__ = ["lines_of", "or_else"]

LONGEST = 1000
"""Characters of a line. A value of a million characters, or an error that quotes one, would hide everything else."""

Made = TypeVar("Made")


def or_else(make: Callable[[], Made], otherwise: Made) -> tuple[Made, str]:
    """What a function makes, or something else and the sentence that says why."""
    try:
        return make(), ""
    except Exception as error:  # noqa: BLE001 - a defect; the sentence names it
        return otherwise, defect("explain this in full", error)


def lines_of(part: str, make: Callable[[], Iterable[str]], *, whole: bool = False) -> list[str]:
    """The lines of a part of a report as they can be shown, or one that says why there are none.

    A text may have several lines. One that is too long is cut, unless they are to stay `whole`.
    """
    try:
        lines = [line for text in make() for line in printable(text).split("\n")]
        return lines if whole else [cut(line, LONGEST) for line in lines]
    except Exception as error:  # noqa: BLE001 - a defect; the line names it
        return [cut(printable(defect(f"write the part {part!r} of this report", error)), LONGEST)]
