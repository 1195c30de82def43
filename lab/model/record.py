"""One judged execution: everything that a report, a count or a token is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby

from lab.model.decision import BREAKPOINT
from lab.model.history import History
from lab.model.leak import Leak
from lab.model.origin import Line, Origin
from lab.model.outcome import ABORT_STATES, Ending, Outcome
from lab.model.remedy import STALE, Applied
from lab.model.schedule import Schedule
from lab.model.stall import Stall
from lab.model.trace import Trace
from lab.model.yardstick import SerialJudgement
from lab.scenario.declare import Scenario

__all__ = [
    "AtLevel",
    "DeadlockEdge",
    "ExecutionRecord",
    "Failure",
    "Finding",
    "Relevance",
    "Sharing",
    "Stall",
    "Turned",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a checker objects to. `name` is the broken invariant's sentence where there is one."""

    checker: str
    name: str
    message: str
    location: str = ""
    step: int = 0
    """Number of the step after which it was found, while actors had not ended; 0 for what was found at the end."""
    moment: str = ""
    """What did not hold then, without the words that say when."""
    healed: bool = False
    """At the end it holds."""

    @property
    def key(self) -> tuple[str, str]:
        """What makes two findings the same violation: the checker and the invariant, not the values."""
        return self.checker, self.name


@dataclass(frozen=True, slots=True)
class DeadlockEdge:
    """One edge of a deadlock's cycle: who waits for whom, in which mode on what, with which SQL."""

    waiter: str
    holder: str
    mode: str
    target: str
    sql: str = ""
    parameters: tuple[object, ...] = ()
    step: int = 0
    """The waiter's step, in which it began to wait or was refused."""
    since: int = 0
    """The step whose statement took for the holder what the waiter waits for; 0 where that is not certain."""
    row: str = ""
    """What that is, where the server has named it."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Two tasks, by their names, that used one session or connection at the same time, each with its line of code."""

    what: str
    first: str
    first_place: str
    second: str
    second_place: str


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """A judged execution of a scenario at an isolation level ("" when each actor has its own default).

    For a test: `outcome` (what the actors returned and raised, the final rows), `trace` (its steps), `anomalies` (by
    name, strongest first), `aborts` (refusals by SQLSTATE) and `lock_waits`.
    """

    scenario: Scenario
    isolation: str
    trace: Trace
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    stalls: tuple[Stall, ...] = ()
    sharings: tuple[Sharing, ...] = ()
    deadlocks: tuple[tuple[DeadlockEdge, ...], ...] = field(default=())
    leaks: tuple[Leak, ...] = ()
    """What actors left behind that have all ended."""
    serial: SerialJudgement | None = None
    """How it compares with serial runs; None where nobody asked."""
    database_fault: SerialJudgement | None = None
    """How it differs from every serial order, though each actor was one transaction at SERIALIZABLE, no more."""
    history: History | None = field(default=None, repr=False)
    """Who read and wrote which version of which row, where that was recorded."""
    unseen: tuple[str, ...] = ()
    """Statements of which the history does not know all reads."""
    anomalies: tuple[str, ...] = ()
    """The names of the anomalies in the history, strongest first."""
    broken: tuple[Finding, ...] = ()
    """The objections of the scenario's invariants, which are checked while the final rows are still there."""
    notes: tuple[str, ...] = ()
    """What actors did to what the lab relies on, and what the lab made of it."""
    unsearched: tuple[str, ...] = ()
    """What could have been done in another order, but by no schedule here."""
    unsteady: str = field(default="", compare=False)
    """Why no schedule of the scenario can be repeated, so that an execution without a violation says nothing."""
    applied: Applied | None = field(default=None, compare=False)
    """What the remedy did under which it was run."""
    origins: tuple[Origin | None, ...] = field(default=(), compare=False, repr=False)
    """The line of the user's code behind each step, None where it is not known; empty where it was not noted."""
    raised: Mapping[str, Line] = field(default_factory=dict, compare=False, repr=False)
    """Where in the user's code the error of an actor was raised, by its name; noted with `origins`."""
    defects: tuple[str, ...] = field(default=(), compare=False)
    """What the lab could not record or explain since it is wrong itself, as sentences."""
    not_checked: tuple[str, ...] = field(default=(), compare=False)
    """The checks that it could not do for the same reason, as sentences."""

    @property
    def failed(self) -> bool:
        """Whether any checker objected."""
        return bool(self.findings)

    @property
    def passed(self) -> bool:
        """Whether every checker judged it, and none objected."""
        return not self.findings and not self.not_checked

    def origin(self, step: int) -> Origin | None:
        """The line of the user's code behind the step with this number, if that was noted."""
        return self.origins[step - 1] if 0 < step <= len(self.origins) else None

    @property
    def is_serial(self) -> bool:
        """Whether each actor had ended, with its tasks, before the next one took a step."""
        stretches = [name for name, _ in groupby(step.actor.partition("/")[0] for step in self.trace)]
        ended = self.outcome.ending is Ending.COMPLETED and not self.trace.extras
        return ended and len(set(stretches)) == len(stretches)

    @property
    def schedule(self) -> Schedule:
        """The schedule of this execution, as it replays."""
        return Schedule.of(self.trace)

    @property
    def aborts(self) -> Counter[str]:
        """Refusals by SQLSTATE, also those after which the work was done again; stale data by the error's name."""
        states = (step.result.error for step in self.trace if step.result is not None)
        found = Counter(state for state in states if state in ABORT_STATES)
        stale = sum(type(result.error).__name__ == STALE for result in self.outcome.results.values())
        stale += self.applied.retries.get(STALE, 0) if self.applied is not None else 0
        return found + Counter({STALE: stale})

    @property
    def lock_waits(self) -> int:
        """How many steps ended in waiting for another's lock."""
        waits = (step.wait for step in self.trace if step.wait is not None)
        return sum(wait.holders != (BREAKPOINT,) for wait in waits)

    def same_as(self, other: ExecutionRecord) -> bool:
        """Whether two executions are identical in trace, results and final rows."""
        return self.trace == other.trace and self.outcome == other.outcome


@dataclass(frozen=True, slots=True)
class Turned:
    """Two steps of a failing execution, by their numbers, that a passing one took in the other order."""

    step: int
    before: int
    onward: str = ""
    """The actor of `step`, where it went on there and took steps before `before` that the failing execution lacks."""


@dataclass(frozen=True, slots=True)
class Relevance:
    """What a failing schedule needs and what it does not. Each claim comes from a run; steps are numbers."""

    preemptions: tuple[int, ...] = ()
    """Needed: without the preemption after this step, nothing is broken."""
    faults: tuple[int, ...] = ()
    """Needed: without the fault of this step, nothing is broken."""
    swaps: tuple[tuple[int, int], ...] = ()
    """Irrelevant: with these two steps in the other order, the same is broken."""
    bystanders: tuple[str, ...] = ()
    """Irrelevant: whether this actor runs before all others or after them, the same is broken."""
    executions: int = 0
    breakpoints: tuple[int, ...] = ()
    """Needed: where the statement of this step does not pause, nothing is broken."""
    passes: tuple[Turned, ...] = ()
    """How the nearest execution that passed differs in the order of steps; empty where none passed."""
    passing: Trace | None = field(default=None, compare=False, repr=False)
    """The trace of that execution."""

    @property
    def claims(self) -> Relevance:
        """The same without the trace, which is no claim and no plain value."""
        return replace(self, passing=None)


@dataclass(frozen=True, slots=True)
class AtLevel:
    """What the order of steps of a failure gave at another isolation level; it was run once there."""

    isolation: str
    refused: tuple[tuple[str, str], ...]
    """The actors that the server refused, each with the SQLSTATE."""
    broken: bool
    """Whether the same breaks."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A violation in its smallest form, its token, and its form when it was found."""

    record: ExecutionRecord
    token: str
    found: ExecutionRecord
    execution: int = 0
    """Number of the execution that showed it first, from 1; 0 when it does not come from a hunt."""
    executions: int = 0
    """How many executions the hunt was allowed."""
    scheduler: str = ""
    identical: int = 0
    replays: int = 0
    divergence: str = ""
    """The message of a replay that was not identical, "" if all were."""
    least: bool = False
    """Every schedule with fewer preemptions was run, and none of them breaks it."""
    without_overlap: bool = False
    """The same breaks where each actor has ended before the next one begins; that was run."""
    late: float = 0.0
    """Seconds after which minimising was ended, so that there may be a smaller one; 0.0 if it came to its end."""
    relevance: Relevance = field(default=Relevance())
    levels: tuple[AtLevel, ...] = ()
    """The levels above the failure's own, where an anomaly explains it."""
    found_token: str = ""
    """The token of the execution that showed it first."""

    @property
    def needed_preemptions(self) -> int:
        """How many preemptions it needs at least: all that it has, where every schedule with fewer was run."""
        return self.record.trace.preemptions if self.least else 0
