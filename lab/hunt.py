"""A hunt: many executions of one scenario, counted, with each kind of failure minimised, replayed and kept."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from lab.errors import Divergence, LabError, ServerError
from lab.explore import Explorer
from lab.minimise import minimise
from lab.outcome import Ending
from lab.record import ExecutionRecord, Failure
from lab.replay_token import encode, token_for
from lab.report.failure import failure_report
from lab.scenario import Scenario
from lab.schedulers import DEFAULT, Scheduler, make_scheduler
from lab.schedulers.replay import Replay
from lab.trace import Trace

__all__ = ["INTERRUPTED", "Hunt", "HuntResult", "ReportedFailure", "Verdict", "confirm"]

CONFIRMATIONS = 5
"""How often a failure is replayed before it is reported."""
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
    outcomes: Counter[str] = field(default_factory=Counter)
    traces: set[str] = field(default_factory=set)
    failures: list[ReportedFailure] = field(default_factory=list)
    endless: int = 0
    """Executions that met the step limit; they prove nothing."""
    trouble: str = ""
    """Why the hunt ended early, "" if it did not."""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """`fail` with a violation; `pass` only when everything asked for was run to its end."""
        if self.failures:
            return Verdict.FAIL
        if self.trouble or self.endless or not self.executions:
            return Verdict.INCONCLUSIVE
        return Verdict.PASS

    @property
    def reason(self) -> str:
        """Why the hunt ended early, whatever it found, or why the verdict is inconclusive; "" for neither."""
        if self.trouble or self.verdict != Verdict.INCONCLUSIVE:
            return self.trouble
        if self.endless:
            return f"{self.endless} executions met the step limit"
        return "no execution fitted into the time that was given"

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
    breakpoints: bool = True
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
        scheduler = make_scheduler(self.scheduler, self.seed)
        known = {(checker, broken) for checker, broken in self.known}
        for number in range(self.first, self.first + self.executions):
            if self.seconds is not None and time.monotonic() - started >= self.seconds:
                return
            if not scheduler.begin(number):
                result.exhausted = True
                return
            record = await explorer.run(
                self.scenario, scheduler, isolation=self.isolation, breakpoints=self.breakpoints
            )
            _count(result, record)
            if record.failed and record.findings[0].key not in known and len(known) < FAILURES_KEPT:
                known.add(record.findings[0].key)
                await self._keep(explorer, result, record, number + 1)
                if not self.keep_going:
                    return
            self.progress(result)

    async def _keep(self, explorer: Explorer, result: HuntResult, found: ExecutionRecord, number: int) -> None:
        """Report a failure at once, and again when it is minimised: an interruption in between loses nothing."""
        failure = self._failure(found, found, number)
        result.failures.append(ReportedFailure.of(failure))
        run = partial(explorer.run, self.scenario, isolation=self.isolation, breakpoints=self.breakpoints)
        smallest = (await minimise(found, run)).record
        failure = self._failure(smallest, found, number)
        result.failures[-1] = ReportedFailure.of(failure)
        result.failures[-1] = ReportedFailure.of(
            await confirm(explorer, failure, self.isolation, breakpoints=self.breakpoints)
        )

    def _failure(self, record: ExecutionRecord, found: ExecutionRecord, number: int) -> Failure:
        token = token_for(self.scenario, record.schedule, self.isolation or "")
        return Failure(
            record,
            encode(token),
            found,
            execution=number,
            executions=self.total or self.executions,
            scheduler=f"{self.scheduler}(seed={self.seed})",
        )


async def confirm(explorer: Explorer, failure: Failure, isolation: str | None, *, breakpoints: bool = True) -> Failure:
    """Replay a failure a few times and note how many replays were identical."""
    identical, divergence = 0, ""
    replay: Scheduler = Replay(failure.record.schedule)
    for number in range(CONFIRMATIONS):
        replay.begin(number)
        try:
            record = await explorer.run(failure.record.scenario, replay, isolation=isolation, breakpoints=breakpoints)
            identical += record.same_as(failure.record)
        except Divergence as error:
            divergence = str(error)
    return replace(failure, identical=identical, replays=CONFIRMATIONS, divergence=divergence)


def _count(result: HuntResult, record: ExecutionRecord) -> None:
    result.executions += 1
    result.outcomes[record.outcome.digest()] += 1
    result.traces.add(_digest(record.trace))
    result.endless += record.outcome.ending is Ending.STEP_LIMIT


def _digest(trace: Trace) -> str:
    text = repr([(step.actor, step.action, step.woken, step.wait, step.result) for step in trace])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
