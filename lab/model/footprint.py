"""What a step reads, locks and writes, as far as it can be known before the step is taken.

A footprint may say too much, never too little: reduction leaves out an order of two steps only when their footprints
show that the order makes no visible difference. What is not understood is `everything`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Access", "Deferred", "Footprint", "Lock", "Rows"]


class Lock(IntEnum):
    """PostgreSQL's row locks from weak to strong, and none at all for a plain read."""

    NONE = 0
    KEY_SHARE = 1
    SHARE = 2
    NO_KEY_UPDATE = 3
    UPDATE = 4

    def clashes(self, other: Lock) -> bool:
        """Whether two transactions cannot hold these on one row (PostgreSQL documentation, table 13.3)."""
        return bool(self and other) and self + other > Lock.UPDATE


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table: all of them, or those with the given values in some columns.

    `key` maps a column to the values that it may have, each as a text that starts with its type. The columns are ones
    that the step does not change.
    """

    table: str
    key: tuple[tuple[str, frozenset[str]], ...] = ()

    def meet(self, other: Rows) -> bool:
        """Whether a row may belong to both."""
        if self.table != other.table:
            return False
        theirs = dict(other.key)
        return not any(column in theirs and _differ(values, theirs[column]) for column, values in self.key)


def _differ(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether no value is in both. Values of two types may be equal for PostgreSQL, whatever their texts are."""
    kinds = {value.partition(":")[0] for value in one | other}
    return len(kinds) == 1 and one.isdisjoint(other)


@dataclass(frozen=True, slots=True)
class Access:
    """One thing that a statement does to rows: `reads` what is committed, takes a `lock`, `writes` a new version.

    `scans`: it meets several rows in the order in which they lie in the table, and its result or its locks show that
    order. Then even writes to different rows do not commute, since each takes the next free place.
    """

    rows: Rows
    lock: Lock = Lock.NONE
    reads: bool = False
    writes: bool = False
    scans: bool = False


@dataclass(frozen=True, slots=True)
class Footprint:
    """What one step may touch.

    `held` is what the transaction has touched before: what a COMMIT publishes, and what it releases, as a ROLLBACK or
    an error does. `snapshot`: the step takes the snapshot that its transaction keeps.
    """

    accesses: tuple[Access, ...] = ()
    held: tuple[Access, ...] = ()
    level: str = "READ COMMITTED"
    snapshot: bool = False
    everything: bool = False

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that are touched, in order of appearance; unique keys stand for themselves."""
        return tuple(dict.fromkeys(access.rows.table for access in self.accesses))


class Deferred:
    """The footprint of a step, computed when it is first needed: most executions are judged without it.

    `before` is that of the same transaction's step before, None for its first.
    """

    __slots__ = ("_accesses", "_before", "_level", "_own", "_resolved")

    def __init__(
        self, accesses: Callable[[], tuple[Access, ...] | None], level: str, before: Deferred | None = None
    ) -> None:
        self._accesses: Callable[[], tuple[Access, ...] | None] | None = accesses
        self._before = before
        self._level = level
        self._own: tuple[Access, ...] | None = None
        self._resolved: Footprint | None = None

    @property
    def level(self) -> str:
        """The isolation level of the transaction."""
        return self._level

    @classmethod
    def known(cls, footprint: Footprint) -> Deferred:
        """One that is resolved already."""
        made = cls(lambda: None, footprint.level)
        made._accesses, made._own, made._resolved = None, footprint.accesses, footprint
        return made

    @property
    def own(self) -> tuple[Access, ...] | None:
        """What the step itself touches, None where that is not understood, whatever came before it."""
        self.resolved()
        return self._own

    def resolved(self) -> Footprint | None:
        """The footprint, None where it is not known: of what was not understood, and of all that follows it."""
        if self._accesses is not None:
            self._own = accesses = self._accesses()
            before, first = None, self._before is None
            held: tuple[Access, ...] | None = ()
            if self._before is not None:
                before = self._before.resolved()
                held = None if before is None else tuple(dict.fromkeys((*before.held, *before.accesses)))
            if accesses is not None and held is not None:
                self._resolved = Footprint(accesses, held, self._level, snapshot=first)
            self._accesses = self._before = None
        return self._resolved
