"""Where actors park, and what the engine knows about each of them.

An actor is a task. A context variable names the actor whose code is running; tasks that it starts inherit
the variable and become actors of their own. Everything that user code reaches (a statement, a COMMIT,
`lab.point`, a sleep) comes through `arrive` here and stays until a decision lets it go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from enum import Enum, auto
from typing import Any, Protocol

from lab.engine.ports import Backend, Cut
from lab.engine.refused import Refused
from lab.model.choices import Alternative
from lab.model.decision import Go
from lab.model.record import Sharing
from lab.model.trace import Action, ActionKind, LockWait, Result

__all__ = ["Actor", "Host", "State", "actor_in", "arrive", "become", "current_actor", "point", "running_as"]

_current: ContextVar[Actor | None] = ContextVar("lab_current_actor", default=None)
current_actor: Callable[[], Actor | None] = _current.get
"""The actor whose code is running, or None outside an execution. It is asked hundreds of times in an execution."""


class State(Enum):
    """What an actor is doing. At rest nobody is RUNNING."""

    RUNNING = auto()
    PARKED = auto()
    WAITING = auto()
    """Its statement waits in PostgreSQL for a lock."""
    GRANTED = auto()
    """Its statement waited and has been granted the lock, or has been answered while it waited."""
    STALLED = auto()
    """Waits for something in the process that only another actor can give."""
    DONE = auto()


class Host(Protocol):
    """The execution as its actors meet it: what they report to it, and what they may ask."""

    closing: bool
    """It is being broken off: nothing parks any more."""
    step: int
    """Number of the step that is under way, or was last."""
    sharings: list[Sharing]
    """Tasks that used one session or connection at the same time."""
    in_threads: dict[asyncio.Future[Any], Actor]
    """A task -> the actor in whose thread it is waited for."""

    def adopt(self, parent: Actor) -> Actor:
        """A task that an actor starts, as an actor."""

    def arm(self) -> None:
        """Somebody moves who was not chosen: look, once the event loop runs dry, who cannot go on."""

    def settled(self, actor: Actor) -> None:
        """An actor came to rest."""

    def goes_on(self, actor: Actor) -> None:
        """An actor moves; its state is still the one before, STALLED if it waited for something in the process."""

    def may_pass(self, actor: Actor) -> bool:
        """Whether an actor that sleeps for no time may go on at once."""

    def answered(self, actor: Actor, result: Result) -> None:
        """The server answered an actor's operation."""

    def refused(self, deadlock: str) -> None:
        """The server found a deadlock and refused a statement; `deadlock` is its detail."""

    def serves(self, backend: Backend, actor: Actor) -> None:
        """A backend works for an actor."""

    def leaves(self, backend: Backend) -> None:
        """A connection was closed."""


class Actor:
    """One schedulable task of an execution."""

    __slots__ = (
        "action",
        "backend",
        "bulk",
        "children",
        "cut",
        "execution",
        "flights",
        "gate",
        "gate_value",
        "go",
        "held",
        "name",
        "offered",
        "passed",
        "rank",
        "refused",
        "root",
        "state",
        "task",
        "tasks",
        "wait",
        "wakes",
    )

    def __init__(self, name: str, execution: Host, rank: tuple[int, int], root: Actor | None = None) -> None:
        self.name = name
        self.go = Go(name)  # the decision that it takes its next step
        self.execution = execution
        self.rank = rank
        """Its place in the order of decisions: that of its root actor, then its number among its tasks."""
        self.root = root or self
        self.state = State.RUNNING
        self.task: asyncio.Task[object] | None = None
        self.tasks = 0
        """How many tasks run its code: its own, and one more while SQLAlchemy closes a session for it."""
        self.children = 0
        self.action = Action(ActionKind.START)
        """What it is doing, or will do next when it is parked."""
        self.bulk: object | None = None  # what the database knows of a pending statement that may lock several rows
        self.gate: asyncio.Future[Any] | None = None
        """What it awaits while it is parked; set by the decision that lets it go on."""
        self.gate_value: object = None  # what a sleep gives back to its sleeper
        self.wakes: int | None = None  # how much time has passed when its sleep ends; None if it does not sleep
        self.passed = 0  # how often it slept for no time since its last step, and went on at once
        self.flights = 0  # how many operations of its own are under way on connections; 0 or 1 in ordinary code
        self.backend: Backend | None = None  # the connection of the operation that is under way
        self.wait: LockWait | None = None
        self.cut: Cut | None = None  # how its connection breaks when its transaction ends next: the work of a fault
        self.refused: Refused | None = None  # what the server is to refuse it when it goes on, as well
        self.held = False
        """Granted a lock on a server that cannot freeze: its answer is held back until it is chosen."""
        self.offered: Alternative | None = None  # what was offered last of its steps

    def __repr__(self) -> str:
        return f"<actor {self.name} {self.state.name}>"

    def lives_in(self, task: asyncio.Task[Any]) -> None:
        """Its code runs in this task; it is done when its last task is."""
        self.task = self.task or task
        self.tasks += 1
        task.add_done_callback(self._leave)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self.tasks -= 1
        self.execution.goes_on(self)
        if not self.tasks:
            self.state = State.DONE
        if self.execution.closing and not task.cancelled():
            task.exception()  # of what was cut off: nobody is left who would ask for it
        self.execution.settled(self)

    def resume(self) -> None:
        """Let it take its step. Called by the engine, at rest."""
        woken = self.state is State.GRANTED
        self.bulk, self.passed = None, 0
        self.state = State.RUNNING
        self.held = False
        if woken and self.backend is not None:
            self.backend.thaw()
        if self.gate is not None and not self.gate.done():
            self.gate.set_result(self.gate_value)

    async def park(self, action: Action) -> None:
        """Stay here until chosen."""
        if (gate := self.parks(action)) is not None:
            await self.stay(gate)

    def parks(self, action: Action, bulk: object | None = None) -> asyncio.Future[Any] | None:
        """Come to rest before `action`; what to `stay` at until chosen, or None if chosen at once."""
        execution = self.execution
        if execution.closing:
            return None
        self.execution.goes_on(self)
        self.action, self.bulk, self.gate_value, self.gate = action, bulk, None, None
        self.state = State.PARKED
        execution.settled(self)
        if self.state is State.RUNNING:
            return None
        self.gate = asyncio.get_running_loop().create_future()
        return self.gate

    async def stay(self, gate: asyncio.Future[Any]) -> None:
        """Wait for the decision that lets it go on."""
        try:
            await gate
        except asyncio.CancelledError:
            self.running_again()  # cancelled by another actor or a timeout: its clean-up runs now
            self.cut = self.refused = None  # what they were for does not come
            raise
        finally:
            self.gate = None

    def running_again(self) -> None:
        """It runs although no decision was made: cancelled, or released by another actor."""
        if self.state is not State.RUNNING and self.state is not State.DONE:
            self.execution.goes_on(self)
            self.state = State.RUNNING
            self.execution.arm()

    def departs(self, backend: Backend) -> Backend | None:
        """An operation begins on a connection; returns the backend of the one around it, for `lands`."""
        self.running_again()
        outer, self.backend = self.backend, backend
        self.flights += 1
        return outer

    def lands(self, outer: Backend | None) -> None:
        """It has ended."""
        self.flights -= 1
        if not self.flights:
            self.execution.arm()
        if self.state is State.RUNNING and not self.held:
            self.backend = outer

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Work under way that is not a scheduling point: a connection being opened, a thread."""
        self.running_again()
        self.flights += 1
        try:
            yield
        finally:
            self.flights -= 1
            self.running_again()
            self.execution.arm()

    @property
    def is_taken_for_waiting(self) -> bool:
        """Whether the engine believes that its statement waits, or has just been granted its lock."""
        return self.held or self.state is not State.RUNNING

    async def hold(self) -> None:
        """Keep an answer back that came while the engine takes this actor for waiting.

        Happens on a server whose backends cannot be frozen, and when a waiting backend is killed.
        """
        if not self.is_taken_for_waiting or self.execution.closing:
            self.held = False
            return
        gate = self.gate = asyncio.get_running_loop().create_future()
        self.gate_value = None
        self.state = State.GRANTED
        self.held = False
        self.execution.settled(self)
        await self.stay(gate)
        self.backend = None

    def waits(self, wait: LockWait) -> None:
        """Its backend says that its statement waits for a lock."""
        if self.flights and self.state in (State.RUNNING, State.GRANTED) and not self.execution.closing:
            if self.backend is not None:
                self.backend.freeze()
            self.wait = wait
            self.held = False
            self.state = State.WAITING
            self.execution.settled(self)


def actor_in(context: contextvars.Context) -> Actor | None:
    """The actor whose code runs in a context."""
    return context.get(_current)


def become(actor: Actor) -> None:
    """Make the current context an actor's own, for good."""
    _current.set(actor)


@contextlib.contextmanager
def running_as(actor: Actor | None) -> Iterator[None]:
    """Run a block as an actor, or as nobody: what it does is then not part of the schedule."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)


async def arrive(action: Action) -> None:
    """Park the running actor before `action`; outside an execution, go straight on."""
    actor = _current.get()
    if actor is not None:
        await actor.park(action)


async def point(label: str) -> None:
    """A scheduling point of one's own: the schedule may switch to another actor here.

    Does nothing outside an execution, so it may stay in code that also runs in production.
    """
    await arrive(Action(ActionKind.POINT, label))
