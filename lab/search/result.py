"""What a hunt found: plain values that may come from another process, and the verdict on them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.analysis.coverage import Coverage
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord, Failure
from lab.model.remedy import Price
from lab.model.verdict import Verdict
from lab.report.failure import explanation_of, failure_report
from lab.report.relevance import irrelevant_text, needed_text
from lab.scenario.declare import invariants_of

__all__ = ["FAILURES_KEPT", "HuntResult", "ReportedFailure", "counted"]

FAILURES_KEPT = 20


@dataclass(frozen=True, slots=True)
class ReportedFailure:
    """A failure as a hunt hands it out: plain values, so that it may come from another process."""

    token: str
    checker: str
    anomaly: str | None
    invariant: str | None
    broken: str
    """The sentence that does not hold: of an invariant, or what the checker insists on."""
    preemptions: int
    steps: int
    execution: int
    identical: int
    replays: int
    report: str
    needed: str = ""
    """What the violation needs, as each was taken away in a run of its own; "" if nothing was tried."""
    irrelevant: str = ""
    """What makes no difference, as each was turned round in a run of its own."""
    least: bool = False
    """Every schedule with fewer preemptions was run, and none of them breaks it."""
    explanation: Mapping[str, Any] | None = None
    """The anomaly explained, as `lab.checkers.isolation.explanation.Explanation` has it; None where there is none."""
    levels: Sequence[Mapping[str, Any]] = ()
    """What the same order gave at the levels above: isolation, refused (actor, SQLSTATE), broken."""

    @classmethod
    def of(cls, failure: Failure) -> ReportedFailure:
        """The plain values of a failure, with its report."""
        record = failure.record
        finding = record.findings[0]
        explanation = explanation_of(record)
        return cls(
            token=failure.token,
            checker=finding.checker,
            anomaly=next(iter(record.anomalies), None),
            invariant=finding.name if finding.location else None,
            broken=finding.name,
            preemptions=record.trace.preemptions,
            steps=len(record.trace),
            execution=failure.execution,
            identical=failure.identical,
            replays=failure.replays,
            report=failure_report(failure),
            needed=needed_text(failure.relevance),
            irrelevant=irrelevant_text(failure.relevance),
            least=failure.least,
            explanation=None if explanation is None else _plain(explanation),
            levels=[_plain(each) for each in failure.levels],
        )

    @property
    def key(self) -> tuple[str, str]:
        """What makes two failures the same violation, as in `Finding.key`."""
        return self.checker, self.broken


@dataclass(slots=True)
class HuntResult:
    """What a hunt saw. `outcomes` counts executions by the digest of their outcome."""

    target: str
    seed: int
    executions: int = 0
    exhausted: bool = False
    complete: bool = False
    """Every trace there is was run: the search was exhausted, and left nothing out but what is equivalent."""
    preemption_bound: int | None = None
    """Every schedule with at most so many preemptions and faults was run; None: the scheduler does not tell."""
    outcomes: Counter[str] = field(default_factory=Counter)
    traces: set[str] = field(default_factory=set)
    """The distinct traces, as digests of their normal forms; see `lab.analysis.coverage`."""
    coverage: Coverage = field(default_factory=Coverage)
    failures: list[ReportedFailure] = field(default_factory=list)
    violated: int = 0
    """Executions with a violation."""
    anomalies: Counter[str] = field(default_factory=Counter)
    """Name of an anomaly -> executions that showed it."""
    aborts: Counter[str] = field(default_factory=Counter)
    """SQLSTATE -> how often the server refused somebody, also where the code tried again."""
    lock_waits: int = 0
    """Steps that ended in waiting for another's lock."""
    predicted: int = 0
    """Cycles that were predicted and tried; see `lab.analysis.predictions`."""
    came_true: int = 0
    """Those whose transactions really met as predicted."""
    endless: int = 0
    """Executions that met the step limit; they prove nothing."""
    unjudged: int = 0
    """Executions that could not be compared with serial runs, where nothing else is asked."""
    obstacle: str = ""
    """Why not: of the first of them."""
    not_compared: list[str] = field(default_factory=list)
    """What serial runs were not compared in, since it differs by nature."""
    trouble: str = ""
    """Why the hunt ended early, "" if it did not."""
    seconds: float = 0.0

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
        reasons = (
            (self.trouble, self.trouble),
            (self.endless, f"{self.endless} executions met the step limit"),
            (not self.executions, "no execution fitted into the time that was given"),
            (self.unjudged == self.executions, f"nothing could be judged: {self.obstacle}"),
            (
                not self.coverage.overlapped,
                "nothing overlapped: in no execution did an actor go on within another's transaction",
            ),
            (
                not self.coverage.conflicted,
                "nothing conflicted: in no execution did two actors meet on the same rows, wait or refuse each other",
            ),
        )
        return next((words for holds, words in reasons if holds), "")

    @property
    def price(self) -> Price:
        """What the executions cost. Their time holds the minimising of failures, where that was asked for."""
        return Price(self.executions, self.aborts, self.lock_waits, self.seconds)

    @property
    def bound(self) -> float | None:
        """With 95 % confidence, a sample breaks something with at most this chance: 3/n after n without a violation.

        The rule of three (Hanley and Lippman-Hand 1983). None without a pass, without samples, and where everything was
        run.
        """
        samples = self.coverage.samples
        return min(1.0, 3 / samples) if samples and self.verdict == Verdict.PASS and not self.complete else None

    def add(self, other: HuntResult) -> None:
        """Take in what the next part of the same hunt saw; a violation that is known already stays as it is."""
        known = {failure.key for failure in self.failures}
        self.executions += other.executions
        self.outcomes.update(other.outcomes)
        self.traces |= other.traces
        new = [failure for failure in other.failures if failure.key not in known]
        self.failures = (self.failures + new)[:FAILURES_KEPT]
        self.endless += other.endless
        self.unjudged += other.unjudged
        self.obstacle = self.obstacle or other.obstacle
        self.not_compared = sorted({*self.not_compared, *other.not_compared})
        self.trouble = self.trouble or other.trouble
        self.exhausted = other.exhausted
        self.complete = other.complete
        self.preemption_bound = other.preemption_bound
        self.coverage.add(other.coverage)
        self.violated += other.violated
        self.anomalies.update(other.anomalies)
        self.aborts.update(other.aborts)
        self.lock_waits += other.lock_waits
        self.predicted += other.predicted
        self.came_true += other.came_true


def counted(result: HuntResult, record: ExecutionRecord, *, sampled: bool) -> None:
    """Take an execution into the result of its hunt."""
    result.executions += 1
    result.outcomes[record.outcome.digest()] += 1
    result.violated += record.failed
    result.anomalies.update(set(record.anomalies))
    result.aborts.update(record.aborts)
    result.lock_waits += record.lock_waits
    result.traces.add(result.coverage.count(record.trace, sampled=sampled))
    result.endless += record.outcome.ending is Ending.STEP_LIMIT
    if record.serial is not None:
        result.not_compared = sorted({*result.not_compared, *record.serial.normalised})
        if record.serial.obstacle and not any(i.checker != "serial" for i in invariants_of(type(record.scenario))):
            result.unjudged += 1
            result.obstacle = result.obstacle or record.serial.obstacle


def _plain(value: Any) -> Any:
    """A value as JSON has it: the same in this process as from another one."""
    return json.loads(json.dumps(asdict(value)))
