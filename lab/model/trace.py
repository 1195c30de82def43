"""What happened in one execution, step by step: the decision, the alternatives, the SQL, the result.

A trace is a value. It holds everything in which two executions can differ, and nothing that cannot be controlled: no
process id, no transaction id, no clock. So equality of traces is the lab's test for "the same execution", and the
reason why the fields below hold names and texts instead of live objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from lab.model.decision import Decision, Go, Pause, Strike
from lab.model.footprint import Deferred, Footprint

__all__ = ["Action", "ActionKind", "LockWait", "Result", "Step", "Taken", "Trace"]

_NOTHING = frozenset({"0", "False", "None", "false"})


class ActionKind(StrEnum):
    """The kinds of scheduling point at which an actor parks."""

    START = "start"
    """The actor begins: what comes before its first scheduling point. Only where the schedule decides who is first."""
    STATEMENT = "statement"
    FETCH = "fetch"
    COMMIT = "COMMIT"
    ROLLBACK = "ROLLBACK"
    SAVEPOINT = "SAVEPOINT"
    RELEASE = "RELEASE"
    ROLLBACK_TO = "ROLLBACK TO"
    POINT = "point"
    SLEEP = "sleep"
    FAULT = "fault"
    """Not a point of an actor: what a fault does, in words: "the connection of alice is killed"."""


@dataclass(frozen=True, slots=True)
class Taken:
    """How the connection was taken on which an action is the first."""

    pool_seconds: float | None = None
    """How long the pool lets wait for one that all are taken of; None where none can be full."""


@dataclass(frozen=True, slots=True)
class Action:
    """What an actor does next once it is chosen.

    `text` is the SQL of a statement, the label of a point, the name of a savepoint or the seconds of a
    sleep; `parameters` are the bound values of a statement as `repr` texts, in the order of their
    placeholders (one tuple for each row of an executemany).
    """

    kind: ActionKind
    text: str = ""
    parameters: tuple[object, ...] = ()
    touches: Deferred | None = field(default=None, compare=False, repr=False)
    """What it may touch, where that is known."""
    database: str = field(default="", repr=False)
    """Where a scenario tells databases apart: that in which it happens, "" for the first."""
    taken: Taken | None = field(default=None, compare=False, repr=False)
    """How its connection was taken, if nothing was sent on it since."""

    @property
    def footprint(self) -> Footprint | None:
        """What it may touch, None where that is not known."""
        return None if self.touches is None else self.touches.resolved()


@dataclass(frozen=True, slots=True)
class Result:
    """What the server answered: its command tag, the rows (as texts, cut at a limit), or an SQLSTATE."""

    tag: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()
    error: str = ""

    @property
    def shows_nothing(self) -> bool:
        """Whether there was no row, or a single value which says that there is none: a count of 0, a false EXISTS."""
        rows = self.rows
        return not self.error and (not rows or (len(rows) == 1 and len(rows[0]) == 1 and rows[0][0] in _NOTHING))


@dataclass(frozen=True, slots=True)
class LockWait:
    """A statement that waits: for which actors, in which lock mode, on what.

    `target` reads like "row of account (0,1)", "table account", "advisory lock 7" or "transaction";
    transaction ids are left out, since they differ between two runs of one schedule.
    """

    holders: tuple[str, ...]
    mode: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: who was chosen among whom, what it did, and how the step ended.

    `alternatives` are the decisions that could be taken, in their order; `chosen` is one of them. `woken` says that the
    action had been waiting for a lock and went on; then the action is the one of the step that began the wait. `wait`
    is set when the step ended in a lock wait.
    """

    number: int
    chosen: Decision
    """With a `Pause` and a `wait`, the step has paused there."""
    alternatives: tuple[Decision, ...]
    action: Action
    woken: bool = False
    result: Result | None = None
    wait: LockWait | None = None
    preempted: str = ""
    """The actor that was still runnable when this step was given to another, if that is what happened."""

    def __post_init__(self) -> None:
        assert self.chosen in self.alternatives, (self.chosen, self.alternatives)

    @property
    def actor(self) -> str:
        """The actor that took the step; "" for a fault, which is a step of nobody."""
        return "" if isinstance(self.chosen, Strike) else self.chosen.actor

    @property
    def mover(self) -> Go | Strike:
        """What made the step: its actor, whether it was to pause or not, or a fault."""
        return Go(self.chosen.actor) if isinstance(self.chosen, Pause) else self.chosen

    @property
    def is_fault(self) -> bool:
        """Whether it is a fault, which no actor takes."""
        return isinstance(self.chosen, Strike)

    @property
    def index(self) -> int:
        """Place of what was chosen among the alternatives; 0 is "the actor that ran last goes on" where it can."""
        return self.alternatives.index(self.chosen)


@dataclass(frozen=True, slots=True)
class Trace:
    """The steps of one execution, in order."""

    steps: tuple[Step, ...] = ()
    actors: tuple[str, ...] = field(default=())
    starts: bool = False
    """That an actor begins was a step; else all began in the order of declaration, before the first step."""
    form: str = field(default="", compare=False, repr=False)
    """The digest of its normal form, of a trace that was made elsewhere and came without its texts; else ""."""

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def preemptions(self) -> int:
        """Switches away from an actor that was still runnable."""
        return sum(bool(step.preempted) for step in self.steps)

    @property
    def faults(self) -> int:
        """How many faults struck."""
        return sum(step.is_fault for step in self.steps)

    @property
    def breakpoints(self) -> int:
        """How many breakpoints were set."""
        return sum(isinstance(step.chosen, Pause) for step in self.steps)

    @property
    def extras(self) -> int:
        """What happened besides actors going on: faults and breakpoints."""
        return self.faults + self.breakpoints

    @property
    def context_switches(self) -> int:
        """All changes of the running actor, preemptions included; a fault runs nobody."""
        steps = [step for step in self.steps if not step.is_fault]
        return sum(before.actor != after.actor for before, after in pairwise(steps))

    @property
    def overlapping(self) -> frozenset[str]:
        """The actors that were under way together with another: their stretches from first to last step overlap."""
        spans: dict[str, tuple[int, int]] = {}
        for step in self.steps:
            if not step.is_fault:
                first, _ = spans.get(step.actor, (step.number, 0))
                spans[step.actor] = first, step.number
        return frozenset(
            name
            for name, (first, last) in spans.items()
            if any(first < end and begin < last for other, (begin, end) in spans.items() if other != name)
        )
