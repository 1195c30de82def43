"""What became of a pair of requests: a verdict with its limits, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.model.text import count
from lab.model.verdict import Verdict
from lab.search.races.pairs import Pair

__all__ = ["Raced", "Same", "Standing", "line_of"]


class Standing(StrEnum):
    """What is known of a pair. The order is that of the report."""

    RACY = "racy"
    ABORTED = "aborted"
    SAFE = "safe"
    UNKNOWN = "inconclusive"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Same:
    """A race that is known: its line, and the title of the pair for which it was minimised."""

    line: str
    title: str


@dataclass(frozen=True, slots=True)
class Raced:
    """A pair, and what its race gave."""

    pair: Pair
    standing: Standing
    limits: str
    """How much was searched, or why nothing was."""
    failure: ReportedFailure | None = None
    seconds: float = 0.0
    same: Same | None = None
    """The race that is known and that it shows as well; its own failure is then as it was met, and not minimised."""
    accepted: str = ""
    """The reason for which the team accepts it; "" where it does not."""

    @classmethod
    def of(cls, pair: Pair, result: HuntResult, same: Same | None = None, *, autocommits: bool = False) -> Raced:
        """From the hunt of its scenario. `autocommits`: its statements are transactions of their own."""
        if result.failures:
            failure = result.failures[0]
            limits = f"execution {failure.execution}"
            if same:
                limits = f"{limits}, as it was met: the race was minimised for {same.title}"
            return cls(pair, Standing.RACY, limits, failure, result.seconds, same)
        apart = _is_apart(result) and not autocommits
        sampled = autocommits and _is_quiet(result) and not result.ran_out
        if result.verdict == Verdict.INCONCLUSIVE and not apart and not sampled:
            return cls(pair, Standing.UNKNOWN, result.reason, seconds=result.seconds)
        executions = count(result.executions, "execution")
        searched = f"all traces of their statements, {executions}" if result.complete else executions
        if autocommits:
            searched = f"{searched}, each statement a transaction of its own (AUTOCOMMIT)"
        if apart:
            searched = f"they do not meet; {searched}"
        if result.unsearched:
            searched = f"{searched}; not searched: {'; '.join(result.unsearched)}"
        if result.aborts:
            states = ", ".join(f"{state} {times}" for state, times in sorted(result.aborts.items()))
            return cls(pair, Standing.ABORTED, f"refused by the server: {states}; {searched}", seconds=result.seconds)
        return cls(pair, Standing.SAFE, searched, seconds=result.seconds)

    @property
    def anomaly(self) -> str:
        """Its name, or what was broken where the failure has none."""
        return "" if self.failure is None else self.failure.anomaly or self.failure.broken

    @property
    def cause(self) -> str:
        """The name of the pattern that was recognised; "" for none."""
        return "" if self.failure is None or not self.failure.cause else str(self.failure.cause["name"])

    @property
    def line(self) -> str:
        """File and line of the user's code that shows the cause last, else of the last step with a known line.

        That of the race that is known, where it shows one.
        """
        return self.same.line if self.same else "" if self.failure is None else line_of(self.failure)

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two racy pairs show the same race: the line to mend, where it is known."""
        return (self.line,) if self.line else (self.anomaly, self.cause)


def line_of(failure: ReportedFailure) -> str:
    """File and line that show the cause of a failure last; "" for none.

    Without a cause they are those of its last statement with a known line, else of its last such step: where a
    transaction ends is seldom where it went wrong.
    """
    known = {each["number"]: f"{each['at']['file']}:{each['at']['line']}" for each in _steps(failure) if each["at"]}
    shown = [known[number] for number in (failure.cause or {}).get("steps", ()) if number in known]
    said = [known[each["number"]] for each in _steps(failure) if each["number"] in known and each["sql"]]
    return next(iter((shown or said or list(known.values()))[-1:]), "")


def _steps(failure: ReportedFailure) -> Sequence[Mapping[str, Any]]:
    steps: Sequence[Mapping[str, Any]] = failure.story.get("steps", ())
    return steps


def _is_apart(result: HuntResult) -> bool:
    """Whether all traces were run and judged, in which the two did not meet: in a hunt a doubt, here an answer.

    Their tables were the same; that their rows are not, or that they are one statement each, shows when they run.
    """
    met = result.coverage.conflicted and result.coverage.overlapped
    return _is_quiet(result) and result.complete and not met


def _is_quiet(result: HuntResult) -> bool:
    """Whether executions were made and judged, and none of them gave reason for doubt."""
    doubted = result.trouble or result.unsteady or result.not_checked or result.endless
    return not doubted and result.unjudged < result.executions
