"""One remedy on trial: what was seen under it, and the answer once it is certain. Knows nothing of how it is run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lab.model.record import ExecutionRecord
from lab.model.remedy import NO_TIME, NOT_RUN, UNLESS_STARVED, Remedy, Tried
from lab.model.text import count
from lab.model.verdict import Verdict
from lab.search.remedies.kind import Kind
from lab.search.remedies.searched import Searched

__all__ = ["FEW", "Trial"]

FEW = 30
"""Executions without a violation that are enough where the scenario as it is breaks often."""
SURE = 0.001
"""How likely these may be, if the remedy changed nothing, to be enough."""
OVER = "the time for remedies was over"
CERTAIN = 0.05
"""The same for as many executions as there may be."""


@dataclass
class Trial:
    """`found` is the failure that the remedy is to cure."""

    kind: Kind
    remedy: Remedy
    found: ExecutionRecord
    seen: Searched
    verdict: str = ""
    """"" until the answer is certain."""
    reason: str = ""
    complete: bool = False
    """Every trace was run."""
    starved: str = ""
    """What broke when all attempts of a retry loop without a pause were spent."""
    first: ExecutionRecord | None = None
    """The schedule that failed, under the remedy."""

    @property
    def begun(self) -> bool:
        """Whether anything was run under the remedy as it stands."""
        return self.seen.result.executions > 0

    def answer(self, verdict: str, reason: str = "") -> None:
        """The answer is certain, or there will be none."""
        self.verdict, self.reason = verdict, reason

    def late(self) -> None:
        """The time is over: what has shown nothing yet is not known to help."""
        number = self.seen.result.executions
        if not self.begun:
            self.answer(NO_TIME)
        else:
            self.answer(Verdict.INCONCLUSIVE, f"nothing broke in {count(number, 'execution')}, then {OVER}")

    def take_first(self, record: ExecutionRecord, seconds: float) -> None:
        """The schedule that failed was run, as near as it could be kept."""
        self.first = record
        broke = record.applied is not None and record.applied.defect
        if not broke and (reason := self.kind.idle(self.remedy, record)):
            self.answer(NOT_RUN, reason)
            return
        self.seen.count(record, seconds, sampled=False)
        self._look("the schedule that failed still fails")

    def take(self, seen: Searched) -> None:
        """A search was made under the remedy."""
        self.seen.add(seen)
        self._look(f"execution {self.seen.result.executions} breaks")
        if not self.verdict and seen.late:
            self.late()

    def take_reduced(self, unfixed: Searched) -> None:
        """The last search was one of reduction; `unfixed`: what another one saw of the scenario as it is."""
        result = self.seen.result
        if not self.verdict and self.seen.reduced and (result.complete or unfixed.result.violated):
            self._passes(complete=result.complete)

    def take_sampled(self, unfixed: Searched, *, last: bool) -> None:
        """Executions were sampled, and as many of the scenario as it is; `last`: there are no more."""
        result = unfixed.result
        chance = (1 - result.violated / max(result.executions, 1)) ** result.executions
        if unfixed.late:
            self.late()
        elif chance <= SURE or (last and chance <= CERTAIN):
            self._passes()
        elif last:
            often = f"{result.violated} of {result.executions} executions break"
            self.answer(Verdict.INCONCLUSIVE, f"nothing broke, which says little: as it is, {often}")

    def tried(self, unfixed: float | None) -> Tried:
        """The trial as a value. `unfixed`: the typical time of an execution of the scenario as it is."""
        note = self.kind.left(self.remedy, self.first) if self.first and self.begun else ""
        price = self.seen.price(unfixed) if self.begun else None
        return Tried(self.remedy.name, self.verdict, self.reason, note, self.remedy, price, self.complete)

    def _look(self, where: str) -> None:
        """A failure ends it, unless a retry loop spent its attempts: then it is given a pause, and begins anew."""
        failed = self.seen.failed
        if self.seen.defect:
            self.answer(Verdict.INCONCLUSIVE, self.seen.defect)
            return
        if failed is None:
            return
        spent = failed.refused and failed.attempts >= self.remedy.attempts
        if self.remedy.attempts > 1 and not self.remedy.pause and spent:  # an actor was refused in every attempt
            self.starved = failed.message
            self.remedy = replace(self.remedy, pause=True)
            self.seen = self.seen.nothing()
        else:
            self.answer(Verdict.FAIL, f"{where}: {failed.message}")

    def _passes(self, *, complete: bool = False) -> None:
        result = self.seen.result
        if result.verdict != Verdict.PASS:
            self.answer(Verdict.INCONCLUSIVE, result.reason)
        elif self.found.trace.breakpoints and not result.coverage.paused:
            self.answer(
                Verdict.INCONCLUSIVE, "the failure needs a pause inside a statement, and the lab can make none here"
            )
        elif self.starved:
            self.answer(
                UNLESS_STARVED, f"without a pause, {self.remedy.attempts} attempts can be in vain: {self.starved}"
            )
        else:
            self.complete = complete
            self.answer(Verdict.PASS)
