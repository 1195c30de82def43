"""Hunts side by side: everything listed, or one scenario at every isolation level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lab.analysis.tally import HuntResult
from lab.model.verdict import Verdict

__all__ = ["Line", "Row", "verdict_on"]


@dataclass(frozen=True, slots=True)
class Line:
    """One scenario of a hunt over everything: what it is and what the hunt gave."""

    target: str
    kind: str
    result: HuntResult
    error: str = ""
    """Why there was no hunt; "" if there was one."""
    cannot: str = ""
    """Why it cannot be hunted on this server; "" if it can."""

    @property
    def as_expected(self) -> bool:
        """A right variant passes, a planted bug is found, a probe may do either; what cannot be run shows nothing."""
        verdict = self.result.verdict
        if self.error or self.cannot:
            return bool(self.cannot)
        if self.kind == "probe":
            return verdict != Verdict.INCONCLUSIVE
        return verdict == (Verdict.FAIL if self.kind == "planted" else Verdict.PASS)

    def shown(self) -> dict[str, Any]:
        """For programs, beside what the result shows."""
        return {"kind": self.kind, "as_expected": self.as_expected, "error": self.error, "cannot": self.cannot}


def verdict_on(lines: Iterable[Line], *, interrupted: bool) -> str:
    """The verdict on a hunt over everything: a violation in a right variant fails it, and so does a missed planted bug.

    After anything else that was not expected, the search is incomplete.
    """
    unexpected = [line for line in lines if not line.as_expected]
    found = any(line.kind == "right" and line.result.failures for line in unexpected)
    missed = any(line.kind == "planted" and line.result.verdict == Verdict.PASS for line in unexpected)
    if found or missed:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if unexpected or interrupted else Verdict.PASS


@dataclass(frozen=True, slots=True)
class Row:
    """What a scenario showed at one level, None where each actor has its own. `own`: the scenario is run so."""

    isolation: str | None
    own: bool
    result: HuntResult

    def shown(self) -> dict[str, Any]:
        """For programs."""
        broken = [failure.broken for failure in self.result.failures]
        return {"isolation": self.isolation, "own": self.own, "broken": broken, **self.result.shown()}
