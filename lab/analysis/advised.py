"""What comparisons of schedulers advise, with the lines for a project's settings."""

from __future__ import annotations

from dataclasses import dataclass

from lab.analysis.standings import Judged
from lab.analysis.weights import Weights

__all__ = ["Advice"]


@dataclass(frozen=True, slots=True)
class Advice:
    """What to write into `[tool.lab]`, and why."""

    judged: tuple[Judged, ...]
    lines: tuple[str, ...] = ()
    """Of the scenarios for which another scheduler than the default is advised."""
    turns: Weights | None = None
    """Of the portfolio, over all scenarios in which a violation was met."""
    turns_lines: tuple[str, ...] = ()
    """For the turns instead: one, where the scenarios are of one package or module."""
