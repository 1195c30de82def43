"""What the clients saw: transactions that read and wrote versions of items. The checkers' input.

The terms are Adya's ("Weak Consistency: A Generalized Theory and Optimistic Implementations for Distributed
Transactions", MIT 1999, chapter 3). An item is a row, identified by a name such as "account 1". Each write makes a
version of it; before all writes there is the initial one, which means "absent" for a row that is inserted later. A
delete makes a dead version. Only the last version that a committed transaction made of an item is installed, and the
installed versions of an item stand in an order.

A history is a value and knows nothing of where it came from: an execution of the lab, or a file of somebody else's run.
Deviations from Adya: the order of an item's versions may be known in part only (several chains), since a file need not
state all of it; and like an aborted transaction, a savepoint that was rolled back leaves versions behind that nobody
may see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "INITIAL",
    "History",
    "Operation",
    "PredicateRead",
    "Read",
    "Status",
    "Transaction",
    "Version",
    "Write",
]


class Status(StrEnum):
    """How a transaction ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"


class Version(NamedTuple):
    """A version of an item: the `number`-th that transaction `writer` made of it, counted from 1, undone ones too.

    A tuple, since judging a history compares versions more than anything else.
    """

    writer: str
    number: int = 1


INITIAL = Version("", 0)
"""What an item was before all transactions of the history: a row's first values, or its absence."""


@dataclass(frozen=True, slots=True)
class Read:
    """An item was read, by its key or as a row that a predicate matched.

    `step` is the number of the statement; numbers grow along a transaction. `text` is the value for people, and
    `absent` says that there was no row: the version is a deleted one, or the initial one of a row that is inserted
    later.
    """

    item: str
    version: Version
    step: int = 0
    text: str = ""
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """An item was inserted, updated or, if `dead`, deleted.

    An UPDATE that computes from what it finds (`SET x = x + 1`) is a read of the version that it replaces, and a write,
    both in one step. That nobody came between them is what the version says, so no rw edge arises.

    `undone` is the step at which a rollback to a savepoint took the write back, if one did.
    """

    item: str
    step: int = 0
    text: str = ""
    dead: bool = False
    undone: int | None = None


@dataclass(frozen=True, slots=True)
class PredicateRead:
    """A condition was evaluated that rows may satisfy.

    `seen` is the version of each item that the read looked at, as far as it is known: the matching ones at least. Of
    an item that is not named, the read saw some version that does not match. The values of matching rows that reached
    the client are reads of their own beside this one.

    Where it is an `answer`, the versions that satisfy the predicate are those with which a query answers the same.
    """

    predicate: str
    seen: tuple[tuple[str, Version], ...] = ()
    step: int = 0
    answer: bool = False


Operation = Read | Write | PredicateRead


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction, or one attempt of it: an attempt that was retried is an aborted transaction of its own.

    `actor` is who ran it, for people; `level` is one of `lab.scenario.declare.ISOLATION_LEVELS`.
    """

    id: str
    operations: tuple[Operation, ...] = ()
    status: Status = Status.COMMITTED
    level: str = "SERIALIZABLE"
    actor: str = ""

    def __post_init__(self) -> None:
        assert self.id, "the empty name is that of the initial state"

    @property
    def committed(self) -> bool:
        """Whether its writes were installed."""
        return self.status is Status.COMMITTED


@dataclass(frozen=True)
class History:
    """Transactions in the order in which they ended, and the order of each item's versions.

    `orders` maps an item to chains of versions, each in its order; the initial version comes before all of them and is
    not named. One chain over all installed versions is a total order, and an item with a single installed version needs
    none. `predicates` maps a predicate to all versions, of whatever item, that satisfy it; an item that it names must
    have a total order.
    """

    transactions: tuple[Transaction, ...]
    orders: Mapping[str, tuple[tuple[Version, ...], ...]] = field(default_factory=dict)
    predicates: Mapping[str, frozenset[tuple[str, Version]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert len({each.id for each in self.transactions}) == len(self.transactions), "a transaction's id is unique"

    @property
    def committed(self) -> tuple[Transaction, ...]:
        """The transactions that committed."""
        return tuple(each for each in self.transactions if each.committed)
