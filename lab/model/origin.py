"""The line of the user's code that caused a step, with the way to it.

Not part of a trace: two runs of one schedule are the same execution, wherever the code of it was written down.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Line", "Origin"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of code that runs: `file` is relative to the working folder or to where packages are found."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Origin:
    """The innermost line of the code under test that led to a step.

    `path` has the lines from the actor's function to the statement, outermost first. Where a library is called, it goes
    on behind that line.
    """

    file: str
    line: int
    function: str
    path: tuple[Line, ...] = ()

    def shown(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "path": [asdict(each) for each in self.path]}
