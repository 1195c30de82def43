"""Records what the sessions of one execution sent and received, so that a history can be made of it.

No query is sent to the server for it. What a session reads comes with its answers; what it writes is reported by a
trigger on every table to the session's own client, row by row, in the messages that come before an answer anyway. So
cascades, defaults and what a bulk statement touched are seen as well, and user code stays as it is. The trigger does
nothing in sessions that do not ask for it (`Journal.setting`), and recording costs no statement.

Times are counted in events of the journal. Only one actor runs at a time, so between the moment at which a statement is
sent and its answer nobody else commits unless the statement waits for a lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lab.model.trace import ActionKind

__all__ = ["Journal", "Line", "Mark", "Sent", "Session"]

BESIDE = frozenset(
    {
        *("CREATE ROLE", "ALTER ROLE", "DROP ROLE", "GRANT ROLE", "REVOKE ROLE"),
        *("CREATE DATABASE", "DROP DATABASE", "CREATE TABLESPACE", "DROP TABLESPACE", "ALTER SYSTEM"),
    }
)
"""Commands whose effects belong to the whole server: making a database again does not undo them."""
UNREPORTED = frozenset({"ALTER DATABASE", "ANALYZE", "VACUUM"})
"""Commands whose effects on one database no event trigger reports: settings, and statistics that make other plans."""


@dataclass(slots=True, eq=False)
class Sent:
    """A statement, from the moment at which its actor was let go with it.

    `sent` and `answered` are times; `step` is the number of the step in which the answer came. `written` holds the
    details that the trigger reported, `rows` the answer. A statement that the driver sent by itself has no `context`.
    Tables whose names say no schema are in `schema`, "" for the lab's first.
    """

    sent: int
    context: Any = None
    text: str = ""
    parameters: Any = ()
    answered: int = 0
    step: int = 0
    rows: list[Any] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    failed: bool = False
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A savepoint is made, released or gone back to, in a step."""

    kind: ActionKind
    name: str
    step: int = 0


@dataclass(slots=True, eq=False)
class Session:
    """One transaction of a connection, or one statement outside any. `ended` is a time, 0 for one that never did."""

    actor: str
    level: str = ""
    events: list[Sent | Mark] = field(default_factory=list)
    committed: bool = False
    ended: int = 0
    broken: bool = False
    """The server refused a statement of it, and no savepoint saved the rest; or it was cut off."""


class Line:
    """What the journal knows of one connection."""

    __slots__ = ("pending", "session", "written")

    def __init__(self) -> None:
        self.session: Session | None = None
        self.pending: Sent | Mark | None = None
        """The statement that is about to be executed, or was last."""
        self.written: list[str] = []
        """What the trigger reported since the last answer."""


class Journal:
    """The transactions of one execution, in the order in which they began. Kept only while it is `open`."""

    def __init__(self) -> None:
        self.open = False
        self.sessions: list[Session] = []
        self.time = 0
        self.altered = False
        """Somebody may have changed the catalog. It stays true, over executions, until the database is made again."""
        self.tidy = True
        """All that was sent since the beginning left its session as it found it, but for numbers of sequences."""
        self.committed = ""
        """Whose COMMIT the server acknowledged since somebody looked, "" for nobody's; also while it is not `open`."""
        self.beside = ""
        """A command that an actor sent, which changed something that does not belong to the database."""

    @property
    def setting(self) -> str:
        """The statement that makes a session report what it writes, or not."""
        return f"SET lab.recording = '{'on' if self.open else 'off'}';"

    def start(self, *, wanted: bool) -> None:
        """Begin with nothing, for the next execution."""
        self.open, self.sessions, self.time, self.beside, self.tidy = wanted, [], 0, "", True
        self.committed = ""

    def commanded(self, tag: str) -> None:
        """A command was done, which its tag names. Event triggers hear of none of these."""
        if tag in BESIDE:
            self.beside = tag
        elif tag in UNREPORTED:
            self.altered = True

    def sends(self, line: Line, context: Any, text: str, parameters: Any, schema: str = "") -> None:
        """An actor was let go with a statement."""
        self.time += 1
        line.pending = Sent(self.time, context, text, parameters, schema=schema)

    def marks(self, line: Line, kind: ActionKind, name: str) -> None:
        """An actor was let go with an operation on a savepoint."""
        line.pending = Mark(kind, name)

    def began(self, line: Line, actor: str) -> None:
        """A transaction was begun."""
        line.session = Session(actor)
        self.sessions.append(line.session)

    def answered(self, line: Line, actor: str, level: str, step: int, rows: Sequence[Any]) -> None:
        """A statement was answered, in whole or in part."""
        self.time += 1
        session, alone = line.session, line.session is None
        if session is None:
            session = Session(actor)
            self.sessions.append(session)
        session.level = session.level or level
        sent = line.pending
        if isinstance(sent, Mark):
            session.broken = session.broken and sent.kind is not ActionKind.ROLLBACK_TO
            session.events.append(replace(sent, step=step))
            line.pending = None
            return
        if sent is None:
            sent = line.pending = Sent(self.time)
        if not session.events or session.events[-1] is not sent:
            session.events.append(sent)
        sent.answered, sent.step = self.time, step
        sent.rows += rows
        sent.written += line.written
        line.written = []
        if alone:
            session.committed, session.ended = True, self.time

    def refused(self, line: Line) -> None:
        """A statement ended with an error: what it had written is no more."""
        self.time += 1
        line.written = []
        line.pending = None
        if line.session is not None:
            line.session.broken = True

    def ended(self, line: Line, step: int, *, committed: bool) -> None:
        """A transaction ended. What was written in its last moment, by a deferred constraint, belongs to it."""
        self.time += 1
        session, line.session, line.pending = line.session, None, None
        if session is None:
            return
        if line.written:
            session.events.append(Sent(self.time, answered=self.time, step=step, written=line.written))
            line.written = []
        session.committed, session.ended = committed, self.time
