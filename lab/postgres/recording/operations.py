"""What the transactions of an execution did, while it is still open which rows satisfy which condition."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.postgres.connections.journal import Sent, Session
from lab.postgres.recording.questions import Question
from lab.postgres.recording.row_versions import Item, RowVersion
from lab.postgres.statements.readings import Reading

__all__ = ["Attempt", "Condition", "Seen", "Wrote"]


@dataclass(slots=True, eq=False)
class Seen:
    """A row was read in a version."""

    item: Item
    row: RowVersion
    step: int


@dataclass(slots=True, eq=False)
class Wrote:
    """A version of a row was written."""

    item: Item
    row: RowVersion
    step: int


@dataclass(slots=True, eq=False)
class Condition:
    """A condition was evaluated.

    `looked_at` is what the statement saw of every row of the table. `found` are the rows that it returned or changed,
    None if that is not known; `computes` says that values of all rows that match are read, too.
    """

    sent: Sent
    reading: Reading
    step: int
    looked_at: list[tuple[Item, RowVersion]]
    found: dict[Item, RowVersion] | None
    computes: bool
    number: int = 0
    """Which of the statement's sets of parameters it is about."""


@dataclass(slots=True, eq=False)
class Attempt:
    """A transaction: what it did, in order. `snapshot` is the time of the one snapshot of its level.

    `committed` is also one that only read and was rolled back by its own client.
    """

    name: str
    session: Session
    snapshot: int = 0
    committed: bool = False
    writes: bool = False
    """It tried to write, whether or not any row was there to be written."""
    operations: list[Seen | Wrote | Condition | Question] = field(default_factory=list)
    points: list[tuple[str, int]] = field(default_factory=list)
    """Savepoints: name and number of operations before it."""
