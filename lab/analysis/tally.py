"""What hunts found: counters as plain values that may come from another process, and the verdict on them.

A counter is one field of `HuntResult`. How the counters of two parts of a hunt are made those of the whole, how a
counter is written as JSON for another process, and what `--json` shows of it, stand beside the field and nowhere else.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from lab.analysis.counters import ENDS, LAST, NAMES, REASON, SUM, TALLY, TIME, TRACES, counter
from lab.analysis.coverage import Coverage, in_both_orders
from lab.analysis.repetition import repeating
from lab.analysis.reported import ReportedFailure
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord
from lab.model.remedy import Price
from lab.model.starts import Starts
from lab.model.text import count
from lab.model.verdict import Verdict
from lab.scenario.declare import invariants_of

__all__ = ["FAILURES_KEPT", "HuntResult"]

FAILURES_KEPT = 20
ONE_TRACE = "two executions of one trace ended differently"
LOST = "other schedules had an outcome that it did not find"


def _covered(mine: Coverage, theirs: Coverage) -> Coverage:
    mine.add(theirs)
    return mine


def _all_failures(mine: list[ReportedFailure], theirs: list[ReportedFailure]) -> list[ReportedFailure]:
    """A violation that is known already stays as it is."""
    known = {failure.key for failure in mine}
    return (mine + [failure for failure in theirs if failure.key not in known])[:FAILURES_KEPT]


COVERAGE = counter(_covered, show=Coverage.summary, dump=Coverage.dump, load=Coverage.load)
FAILURES = counter(
    _all_failures,
    show=lambda failures: [each.shown() for each in failures],
    dump=lambda failures: list(map(asdict, failures)),
    load=lambda failures: [ReportedFailure(**each) for each in failures],
)
STARTS = counter(lambda mine, theirs: mine if theirs is Starts.FIXED else theirs, load=Starts)


@dataclass(slots=True)
class HuntResult:
    """What a hunt saw. `outcomes` counts executions by the digest of their outcome; `seconds` is wall-clock time."""

    target: str
    seed: int
    executions: int = field(default=0, metadata=SUM)
    exhausted: bool = field(default=False, metadata=LAST)
    complete: bool = field(default=False, metadata=LAST)
    """Every trace was run: the search was exhausted, and left out only equivalent executions."""
    starts: Starts = field(default=Starts.FIXED, metadata=STARTS)
    """Whether that an actor begins was a decision."""
    preemption_bound: int | None = field(default=None, metadata=LAST)
    """Every schedule with at most so many preemptions and faults was run; None: the scheduler does not say."""
    outcomes: Counter[str] = field(default_factory=Counter, metadata=TALLY)
    traces: set[str] = field(default_factory=set, metadata=TRACES)
    """The distinct traces, as digests of their normal forms; see `lab.analysis.coverage`."""
    coverage: Coverage = field(default_factory=Coverage, metadata=COVERAGE)
    failures: list[ReportedFailure] = field(default_factory=list, metadata=FAILURES)
    violated: int = field(default=0, metadata=SUM)
    """Executions with a violation."""
    anomalies: Counter[str] = field(default_factory=Counter, metadata=TALLY)
    """Name of an anomaly -> executions that showed it."""
    aborts: Counter[str] = field(default_factory=Counter, metadata=TALLY)
    """SQLSTATE -> how often the server refused somebody, also where the code tried again."""
    lock_waits: int = field(default=0, metadata=SUM)
    """Steps that ended in waiting for another's lock."""
    predicted: int = field(default=0, metadata=SUM)
    """Cycles that were predicted and tried; see `lab.analysis.predictions`."""
    came_true: int = field(default=0, metadata=SUM)
    """Those whose transactions really met as predicted."""
    endless: int = field(default=0, metadata=SUM)
    """Executions that met the step limit; they prove nothing."""
    repeats: str = field(default="", metadata=REASON)
    """What repeats at the end of the first of them, as a sentence; "" if nothing does."""
    unjudged: int = field(default=0, metadata=SUM)
    """Executions that could not be compared with serial runs, where nothing else is checked."""
    obstacle: str = field(default="", metadata=REASON)
    """Why not: of the first of them."""
    not_compared: list[str] = field(default_factory=list, metadata=NAMES)
    """What was not compared with serial runs, since it differs in every execution."""
    uncontrolled: list[str] = field(default_factory=list, metadata=NAMES)
    """The places that nobody compared, since they differ between two equal runs: `column lease.until`."""
    unsteady: str = field(default="", metadata=REASON)
    """Two equal serial runs did not do the same, so that nothing broke says nothing."""
    not_checked: list[str] = field(default_factory=list, metadata=NAMES)
    """Checks that the lab could not do since it is wrong itself, as sentences."""
    notes: list[str] = field(default_factory=list, metadata=NAMES)
    """What actors did to what the lab relies on."""
    unsearched: list[str] = field(default_factory=list, metadata=NAMES)
    """What could have been done in another order, but by no schedule here, so that not every trace was run."""
    trouble: str = field(default="", metadata=REASON)
    """Why the hunt ended early, "" if it did not."""
    ran_out: bool = field(default=False, metadata=counter(operator.or_, shown=None))
    """The given time was over before the search was."""
    seconds: float = field(default=0.0, metadata=TIME)
    curve: list[tuple[int, int]] = field(default_factory=list, compare=False, repr=False)
    """How many traces were known after so many executions, wherever that grew while this value was at hand."""
    _ends: dict[str, str] = field(default_factory=dict, metadata=ENDS)
    """Trace -> the outcome of the first execution of it."""

    @property
    def verdict(self) -> str:
        """`fail` with a violation; `pass` only when all was run to its end and could have shown something."""
        if self.failures:
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self._doubt else Verdict.PASS

    @property
    def reason(self) -> str:
        """Why the hunt ended early, whatever it found, or why the verdict is inconclusive; "" for neither."""
        return self.trouble if self.failures else self._doubt

    @property
    def _doubt(self) -> str:
        """Why the executions without a violation say too little; "" if they do not."""
        endless = count(self.endless, "execution")
        reasons = (
            (self.trouble, self.trouble),
            (self.unsteady, self.unsteady),
            (self.not_checked, "; ".join(self.not_checked)),
            (self.endless, f"{endless} met the step limit{self.repeats and f': {self.repeats}'}"),
            (not self.executions, "the given time was too short for a single execution"),
            (self.unjudged == self.executions, f"nothing could be judged: {self.obstacle}"),
        )
        return next((words for holds, words in reasons if holds), "") or self._unmet

    @property
    def _unmet(self) -> str:
        """What a race would need and no execution showed; "" if they did. Where the time was over, that is why."""
        reasons = (
            (
                not self.coverage.overlapped and not (self.complete and in_both_orders(self.coverage.pairs)),
                "nothing overlapped: no actor took a step while another one was within a transaction",
            ),
            (
                not self.coverage.conflicted,
                "nothing conflicted: no two actors touched the same rows, waited for each other or were refused",
            ),
            (
                not self.complete and bool(pairs := self.coverage.pairs) and not in_both_orders(pairs),
                "no two conflicting steps were met in both orders",
            ),
        )
        words = next((words for holds, words in reasons if holds), "")
        over = f"the given time was over after {count(self.executions, 'execution')}, "
        return f"{over}and until then {words}" if words and self.ran_out else words

    @property
    def price(self) -> Price:
        """What the executions cost. Their time holds the minimising of failures, where that was asked for."""
        return Price(self.executions, self.aborts, self.lock_waits, self.seconds)

    @property
    def bound(self) -> float | None:
        """With 95 % confidence, a sample breaks something with at most this chance: 3/n after n without a violation.

        Rule of three (Hanley and Lippman-Hand 1983); None without a pass or samples, and where everything was run.
        """
        samples = self.coverage.samples
        return min(1.0, 3 / samples) if samples and self.verdict == Verdict.PASS and not self.complete else None

    def count(self, record: ExecutionRecord, *, sampled: bool) -> None:
        """Take in an execution. `sampled`: it was an independent sample."""
        self.executions += 1
        self.violated += record.failed
        self.anomalies.update(set(record.anomalies))
        self.aborts.update(record.aborts)
        self.lock_waits += record.lock_waits
        self.note(self.coverage.count(record.trace, sampled=sampled), record.outcome.digest())
        if record.outcome.ending is Ending.STEP_LIMIT:
            self.repeats = self.repeats if self.endless else repeating(record.trace)
            self.endless += 1
        self.uncontrolled = sorted({*self.uncontrolled, *record.outcome.learnt})
        self.unsteady = self.unsteady or record.unsteady
        self.not_checked = sorted({*self.not_checked, *record.not_checked})
        self.notes = sorted({*self.notes, *record.notes, *record.defects})
        self.unsearched = sorted({*self.unsearched, *record.unsearched})
        if record.serial is not None:
            self.not_compared = sorted({*self.not_compared, *record.serial.normalised})
            if record.serial.obstacle and all(i.checker == "serial" for i in invariants_of(type(record.scenario))):
                self.unjudged += 1
                self.obstacle = self.obstacle or record.serial.obstacle

    def note(self, trace: str, outcome: str) -> None:
        """An execution of this trace had this outcome, both as digests."""
        self.outcomes[outcome] += 1
        self.traces.add(trace)
        self._point()
        self._contradict(self._ends.setdefault(trace, outcome) != outcome, ONE_TRACE)

    def _point(self) -> None:
        if not self.curve or self.curve[-1][1] < len(self.traces):
            self.curve.append((self.executions, len(self.traces)))

    def _contradict(self, holds: bool, why: str) -> None:  # noqa: FBT001 - said by whoever calls it
        """What was seen does not agree with what reduction rests on, so nothing is said to be all."""
        if holds and not self.unsteady:
            self.unsearched = sorted({*self.unsearched, f"reduction does not hold for this scenario: {why}"})

    def ended(self, reduced: AbstractSet[str], *, complete: bool) -> None:
        """The scheduler has nothing left to run. `reduced` are the outcomes that its reduction found."""
        self.exhausted = True
        if complete and reduced:
            self._contradict(not self.outcomes.keys() <= reduced, LOST)
        self.complete = complete and not self.unsearched and self.starts is not Starts.UNKNOWN

    def add(self, other: HuntResult) -> None:
        """Take in what the next part of the same hunt saw; a violation that is known already stays as it is."""
        clash = any(self._ends.get(trace, end) != end for trace, end in other._ends.items())
        for each in _COUNTERS:
            setattr(self, each.name, each.metadata["add"](getattr(self, each.name), getattr(other, each.name)))
        self._point()
        self._contradict(clash, ONE_TRACE)

    def shown(self) -> dict[str, Any]:
        """For programs: the verdict, why, and every counter."""
        counted = {
            each.metadata["shown"] or each.name: each.metadata["show"](getattr(self, each.name))
            for each in _COUNTERS
            if each.metadata["shown"] is not None
        }
        return {"verdict": self.verdict, "reason": self.reason, "bound": self.bound, **counted}

    def dump(self) -> dict[str, Any]:
        """As values that JSON can hold, for another process."""
        counted = {each.name: each.metadata["dump"](getattr(self, each.name)) for each in _COUNTERS}
        return {"target": self.target, "seed": self.seed, **counted}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> HuntResult:
        """From what `dump` made, as JSON has it."""
        counted = {each.name: each.metadata["load"](values[each.name]) for each in _COUNTERS}
        return cls(values["target"], values["seed"], **counted)


_COUNTERS = tuple(each for each in fields(HuntResult) if each.metadata)
