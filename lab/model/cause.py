"""The pattern in the user's code that explains a violation, as it was observed in one execution."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Cause"]


@dataclass(frozen=True, slots=True)
class Cause:
    """What went wrong, by a name that is the same in every report.

    `text` says who did what in which step; every part of it was observed. `steps` are the numbers of the steps that
    show it, in order, and `fix` says what people usually do about it: it was not tried.
    """

    name: str
    text: str
    steps: tuple[int, ...]
    fix: str

    def __post_init__(self) -> None:
        assert self.steps == tuple(sorted(set(self.steps))), self.steps
