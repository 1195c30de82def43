"""A hunt: many executions of one scenario, counted, with each kind of failure minimised, replayed and kept."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.coverage import Coverage
from lab.errors import LabError, ServerError
from lab.explore import Explorer
from lab.outcome import Ending
from lab.record import ExecutionRecord, Failure
from lab.refine import refined
from lab.remedy import Price, Remedy
from lab.replay_token import encode, token_for
from lab.report.failure import failure_report
from lab.report.relevance import irrelevant_text, needed_text
from lab.scenario import Scenario
from lab.schedulers import DEFAULT, describe, is_calibrated, is_complete, is_sample, make_scheduler

__all__ = ["INTERRUPTED", "Hunt", "HuntResult", "ReportedFailure", "Verdict"]

FAILURES_KEPT = 20
INTERRUPTED = "interrupted"
"""The trouble of a hunt that was cancelled, by Ctrl-C for example."""


class Verdict:
    """The three verdicts. Not an enumeration, since programs read them as text."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


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

    @classmethod
    def of(cls, failure: Failure) -> ReportedFailure:
        """The plain values of a failure, with its report."""
        record = failure.record
        finding = record.findings[0]
        return cls(
            token=failure.token,
            checker=finding.checker,
            anomaly=None,
            invariant=finding.name if finding.checker == "invariant" else None,
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
    """The distinct traces, as digests of their normal forms; see `lab.coverage`."""
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
    """Cycles that were predicted and tried; see `lab.predictions`."""
    came_true: int = 0
    """Those whose transactions really met as predicted."""
    endless: int = 0
    """Executions that met the step limit; they prove nothing."""
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
        if self.trouble:
            return self.trouble
        if self.endless:
            return f"{self.endless} executions met the step limit"
        if not self.executions:
            return "no execution fitted into the time that was given"
        if not self.coverage.overlapped:
            return "nothing overlapped: in no execution did an actor go on within another's transaction"
        if not self.coverage.conflicted:
            return "nothing conflicted: in no execution did two actors meet on the same rows, wait or refuse each other"
        return ""

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


@dataclass(slots=True)
class Hunt:
    """The search of one scenario. Stops at the first violation unless `keep_going`.

    For a hunt that is one part of a larger one, `first` is the number of its first execution and `total` how many
    executions the whole may have; `known` are the keys of violations that earlier parts have reported.
    """

    scenario: Scenario
    target: str
    scheduler: str = DEFAULT
    executions: int = 200
    first: int = 0
    total: int = 0
    known: Sequence[Sequence[str]] = ()
    seconds: float | None = None
    seed: int = 0
    isolation: str | None = None
    keep_going: bool = False
    options: Mapping[str, int] = field(default_factory=dict)
    """Of the scheduler."""
    breakpoints: bool = True
    remedy: Remedy | None = None
    refine: bool = True
    """Minimise failures, find out what they needed and replay them; without, they are counted and told as met."""
    at_least: int = 1
    """Do not stop for a violation before so many executions."""
    progress: Callable[[HuntResult], None] = lambda result: None

    async def run(self, explorer: Explorer) -> HuntResult:
        """Hunt. A failing server and Ctrl-C end it early and keep what was found.

        So does any other `LabError` once something was found; before, it is raised.
        """
        result = HuntResult(self.target, self.seed)
        started = time.monotonic()
        try:
            await self._search(explorer, result, started)
        except LabError as error:
            if not isinstance(error, ServerError) and not result.failures:
                raise
            result.trouble = str(error)
        except asyncio.CancelledError:
            result.trouble = INTERRUPTED
        result.seconds = time.monotonic() - started
        return result

    async def _search(self, explorer: Explorer, result: HuntResult, started: float) -> None:
        scheduler = make_scheduler(self.scheduler, self.seed, **self.options)
        if self.first and not is_calibrated(scheduler):  # it counts where it belongs, in the part that begins with it
            scheduler.begin(0)
            await explorer.run(self.scenario, scheduler, isolation=self.isolation, remedy=self.remedy)
        known = {(checker, broken) for checker, broken in self.known}
        for number in range(self.first, self.first + self.executions):
            if self.seconds is not None and time.monotonic() - started >= self.seconds:
                return
            begun = scheduler.begin(number)
            bound = getattr(scheduler, "bound", None)
            result.preemption_bound = bound - 1 if bound else None
            if not begun:
                result.exhausted = True
                result.complete = is_complete(scheduler)
                return
            record = await explorer.run(
                self.scenario,
                scheduler,
                isolation=self.isolation,
                breakpoints=self.breakpoints,
                remedy=self.remedy,
            )
            _count(result, record, sampled=is_sample(scheduler))
            result.predicted, result.came_true = getattr(scheduler, "predictions", (0, 0))
            if record.failed and record.findings[0].key not in known and len(known) < FAILURES_KEPT:
                known.add(record.findings[0].key)
                await self._keep(explorer, result, record, number + 1)
            if result.failures and not self.keep_going and result.executions >= self.at_least:
                return
            self.progress(result)

    async def _keep(self, explorer: Explorer, result: HuntResult, found: ExecutionRecord, number: int) -> None:
        """Report a failure at once, and again when it is minimised: an interruption in between loses nothing."""
        failure = self._failure(found, number)
        result.failures.append(ReportedFailure.of(failure))
        if not self.refine:
            return
        async for smaller in refined(explorer, failure, self.isolation, breakpoints=self.breakpoints):
            result.failures[-1] = ReportedFailure.of(smaller)

    def _failure(self, found: ExecutionRecord, number: int) -> Failure:
        token = token_for(self.scenario, found.schedule, self.isolation or "")
        return Failure(
            found,
            encode(token),
            found,
            execution=number,
            executions=self.total or self.executions,
            scheduler=describe(self.scheduler, self.seed, self.options),
        )


def _count(result: HuntResult, record: ExecutionRecord, *, sampled: bool) -> None:
    result.executions += 1
    result.outcomes[record.outcome.digest()] += 1
    result.violated += record.failed
    result.anomalies.update({str(getattr(each, "name", each)) for each in getattr(record, "anomalies", ())})
    result.aborts.update(record.aborts)
    result.lock_waits += record.lock_waits
    result.traces.add(result.coverage.count(record.trace, sampled=sampled))
    result.endless += record.outcome.ending is Ending.STEP_LIMIT
