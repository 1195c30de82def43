"""An execution that was made elsewhere, as plain values: what a hunt counts, and what its scheduler learns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.analysis.tally import HuntResult
from lab.schedulers.course import Course

__all__ = ["Made"]


@dataclass(frozen=True, slots=True)
class Made:
    """One execution, counted as a hunt of one."""

    key: str
    """Of its course."""
    result: HuntResult
    broken: tuple[str, str] | None = None
    """The key of the violation that it showed."""
    way: Mapping[str, Any] = field(default_factory=dict)
    """Its decisions (`lab.schedulers.way`); nothing of a sample."""
    onward: Sequence[Course] = ()
    """What it leads to, as far as its maker foresees that: it comes right behind this one, in this order."""
    trouble: str = ""
    """Why there is no such execution; then the search makes it itself, and meets the same."""

    @property
    def form(self) -> str:
        """The digest of its normal form."""
        (form,) = self.result.traces
        return form

    def dump(self) -> str:
        """As a line of JSON."""
        onward = [each.dump() for each in self.onward]
        return json.dumps([self.key, self.result.dump(), self.broken, self.way, onward, self.trouble])

    @classmethod
    def load(cls, line: str | bytes) -> Made:
        """From what `dump` gave."""
        key, result, broken, way, onward, trouble = json.loads(line)
        broke = None if broken is None else (broken[0], broken[1])
        return cls(key, HuntResult.load(result), broke, way, tuple(map(Course.load, onward)), trouble)
