"""What the engine needs from the database side, as protocols. `lab.postgres` implements them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from lab.model.footprint import Seen
from lab.model.trace import Step

__all__ = [
    "HELD",
    "AnyPool",
    "Backend",
    "Cut",
    "Libraries",
    "LockWaits",
    "LockableRow",
    "Looks",
    "Messages",
    "Ports",
    "Relations",
    "RowLocks",
    "ServerClock",
    "Striker",
]


class Cut(Enum):
    """Where a connection breaks."""

    BEFORE_REQUEST = auto()
    """Before what is sent reaches the server."""
    BEFORE_ANSWER = auto()
    """When the server has done it, before its answer comes back."""


class Backend(Protocol):
    """One connection of an actor and the server process behind it."""

    @property
    def pid(self) -> int:
        """Process id of the server process."""

    def freeze(self) -> None:
        """Stop the process in its lock wait, so that waking it becomes a decision. May do nothing."""

    def thaw(self) -> None:
        """Let a frozen process go on. Harmless when it is not frozen."""


class LockWaits(Protocol):
    """Knows which statements wait for locks."""

    @property
    def pushed(self) -> bool:
        """Whether backends report their waits themselves, after their deadlock check."""

    @property
    def frozen(self) -> bool:
        """Whether waiting backends can be frozen."""

    @property
    def poll_seconds(self) -> float:
        """How long a statement may be in flight before the engine asks about it."""

    async def blockers(self, pids: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
        """For each process: the processes that hold what it waits for; empty if it does not wait."""

    async def gone(self, pids: Sequence[int]) -> None:
        """Return when these processes, whose connections were closed, have ended and hold no lock any more."""

    async def unreported(self, pids: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
        """The processes among `pids` that wait for something of which no report will come, with its holders."""

    async def seconds_to_checks(self, pids: Sequence[int], *, in_a_circle: bool, may_be_joined: bool) -> float:
        """In how many seconds the deadlock checks of these waits, none of them reported, leave the next decision alone.

        `in_a_circle`: there is a deadlock to find. `may_be_joined`: the next decision may begin another wait.
        """


@dataclass(frozen=True, slots=True)
class LockableRow:
    """A row that a statement would lock: table, key, and the key as a reader wants it."""

    table: str
    key: tuple[object, ...]
    text: str
    is_early: bool = False
    """It is the first of its statement, which has looked at other rows when it comes to it."""


HELD = object()
"""Stands for a statement on several rows of which its own transaction has locked the first: it has no breakpoint."""


class RowLocks(Protocol):
    """A session of the lab's own that locks rows for breakpoints. It never waits."""

    @property
    def pid(self) -> int:
        """Process id of its server process. Known once it was asked for rows."""

    async def rows(self, statement: object) -> Sequence[LockableRow]:
        """The rows that a pending statement would lock, in its own order, up to the first that somebody has locked."""

    async def hold(self, statement: object, row: LockableRow) -> bool:
        """Lock a row of a statement until `let_go`. False if somebody else holds it."""

    async def is_taken(self, statement: object, row: LockableRow) -> bool:
        """Whether somebody else holds a row of a statement; it may be locked by this question."""

    async def let_go(self) -> None:
        """Give up all rows."""


class Relations(Protocol):
    """Knows what open transactions have touched."""

    async def held(self, pids: Sequence[int]) -> Mapping[int, Seen]:
        """For each of these sessions that has a transaction open: what that has touched."""


class Messages(Protocol):
    """Notifications for which sessions of actors listen."""

    @property
    def awaited(self) -> bool:
        """Whether a session listens that can be asked now: no transaction is open there, and nothing under way."""

    async def bring(self) -> bool:
        """Ask these sessions for what the server has for them, and hand it on. True if there was anything."""


class Looks(Protocol):
    """Looks at what is committed, while all actors are at rest. Nothing that an actor can meet comes of it."""

    @property
    def owed(self) -> bool:
        """Whether the server acknowledged a COMMIT since the last look."""

    async def look(self, step: Step) -> None:
        """Look, after this step."""


class ServerClock(Protocol):
    """The clock of the server, where the lab may move it."""

    def run_ahead(self, microseconds: int) -> None:
        """From now on show the machine's time and so much more; less where it is negative."""


class Striker(Protocol):
    """Ends sessions and servers: for faults, and when an execution has to be broken off."""

    async def terminate(self, pids: Sequence[int], *, at_once: bool = False) -> None:
        """End these sessions on both sides, and return when their locks are free.

        `at_once`: their clients can send nothing from now on; else they learn of it when the server has ended them.
        """

    async def kill(self, pid: int) -> None:
        """End one session on the server's side, frozen or not; its client learns of it from its socket."""

    async def disconnect(self, pid: int) -> None:
        """End one session on its client's side; the server notices at once."""

    def is_idle_in_transaction(self, pid: int) -> bool:
        """Whether a transaction is open in this session, and nothing under way."""

    async def let_idle_time_out(self, pid: int) -> None:
        """Let the server end this session for being idle in a transaction."""

    async def let_lock_time_out(self, pid: int) -> None:
        """Let the server refuse the statement that waits for a lock there, frozen or not."""

    async def crash(self) -> None:
        """Crash the server and return when it is up again."""


@dataclass(frozen=True, slots=True)
class AnyPool:
    """A pool of connections for which an actor waits: itself, what it is called, and how it stands."""

    pool: object
    name: str
    state: str


Note = Callable[[object], object]


def _nothing_noted(takes: Note, gives: Note) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def _no_pool(owners: Iterable[object]) -> AnyPool | None:
    return None


@dataclass(frozen=True, slots=True)
class Libraries:
    """The folders of the libraries through which actors reach the database. Their own tasks are not actors."""

    driver: str
    """It starts tasks for an operation, such as cancelling it: they act for an actor but are none."""
    sessions: str
    """It closes a session in a shielded task for which the actor waits: that is the actor itself."""
    pool_among: Callable[[Iterable[object]], AnyPool | None] = _no_pool
    """The pool whose methods a stack goes through, given the `self` of its frames; None if there is none."""
    pools_noted: Callable[[Note, Note], contextlib.AbstractContextManager[None]] = _nothing_noted
    """The time in which the first is called with a pool when a connection is taken of it, the second when one is given
    back."""


@dataclass(frozen=True, slots=True)
class Ports:
    """All that one execution needs of the database side. Without `row_locks` there are no breakpoints.

    Where a session cannot be stopped between two rows (`may_pause`), the statements that could pause are only noticed.
    """

    waits: LockWaits
    messages: Messages
    striker: Striker
    libraries: Libraries
    row_locks: RowLocks | None = None
    may_pause: bool = True
    relations: Relations | None = None
    exact: bool = False
    """Every statement is to be asked about, and not only one that is new."""
