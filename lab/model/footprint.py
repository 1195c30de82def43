"""What a step reads, locks and writes, as far as it can be known before the step is taken.

A footprint may say too much, never too little: reduction leaves out an order of two steps only when their footprints
show that the order makes no visible difference. What is not understood is `everything`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

__all__ = ["Access", "Deferred", "Footprint", "Lock", "Memory", "Rows", "Seen"]


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
    order. Then even writes to different rows do not commute, since each takes the next free place. `enters`: it changes
    what an index is over, so the index gets a new entry.
    """

    rows: Rows
    lock: Lock = Lock.NONE
    reads: bool = False
    writes: bool = False
    scans: bool = False
    enters: bool = False


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


@dataclass(frozen=True, slots=True)
class Seen:
    """What a transaction holds after one of its statements, as the server says: each relation as a whole."""

    relations: tuple[Access, ...] = ()
    wholly: frozenset[str] = frozenset()
    """Tables of which more than single rows are watched for writes of others, as serializable transactions do."""
    obscure: bool = False
    """There is something among it that no access stands for."""

    def joined(self, other: Seen | None) -> Seen:
        """What either saw."""
        if other is None or other == self:
            return self
        relations = tuple(dict.fromkeys((*self.relations, *other.relations)))
        return Seen(relations, self.wholly | other.wholly, self.obscure or other.obscure)


class Memory:
    """What was seen after a statement that came after the same statements of its transaction, in any execution.

    `after` has those of the statements that came next.
    """

    __slots__ = ("after", "explained", "seen")

    def __init__(self) -> None:
        self.seen: Seen | None = None
        self.explained: bool | None = None
        """It and all before it are understood, and were never seen to touch anything else; None as long as none was."""
        self.after: dict[tuple[str, str], Memory] = {}


class Deferred:
    """The footprint of a step, computed when it is first needed: most executions are judged without it.

    `before` is that of the same transaction's step before, None for its first. What is understood of a statement
    (`accesses`) is held against what its transaction holds afterwards, and what that does not explain is added. Of what
    is not understood, the relations are known once they were seen, unless it may do more than touch them (`wild`).
    """

    __slots__ = (
        "_accesses",
        "_before",
        "_held",
        "_level",
        "_memory",
        "_own",
        "_resolved",
        "_seen",
        "_state",
        "_wild",
        "session",
    )

    def __init__(
        self,
        accesses: Callable[[], tuple[Access, ...] | None],
        level: str,
        before: Deferred | None = None,
        memory: Memory | None = None,
        wild: Callable[[], bool] = lambda: True,
        session: int = 0,
    ) -> None:
        self.session = session
        """Process id of the server process that the step is taken in; 0 where that is not known."""
        self._accesses: Callable[[], tuple[Access, ...] | None] | None = accesses
        self._before = before
        self._level = level
        self._memory = memory
        self._wild = wild
        self._seen: Seen | None = None
        self._own: tuple[Access, ...] | None = None
        self._held: tuple[Access, ...] | None = None
        self._resolved: Footprint | None = None
        self._state = _UNREAD

    @property
    def level(self) -> str:
        """The isolation level of the transaction."""
        return self._level

    @classmethod
    def known(cls, footprint: Footprint) -> Deferred:
        """One that is resolved already."""
        made = cls(_nothing, footprint.level)
        made._own, made._resolved, made._state = footprint.accesses, footprint, _RESOLVED
        return made

    @property
    def transaction(self) -> Iterator[Deferred]:
        """It and the statements before it in its transaction, the last one first."""
        each: Deferred | None = self
        while each is not None:
            yield each
            each = each._before  # noqa: SLF001 - one of its own kind

    @property
    def own(self) -> tuple[Access, ...] | None:
        """What the step itself touches, None where that is not understood, whatever came before it."""
        self._read()
        return self._own

    @property
    def asks(self) -> bool:
        """Whether what comes of it can be seen, and was not seen before."""
        return self._memory is not None and self._memory.seen is None

    @property
    def may_differ(self) -> bool:
        """Whether what comes of it can be seen, and may be other than it was before.

        What serializable transactions watch follows from the plan, so there it may.
        """
        return self._memory is not None and (self._level == _SERIALIZABLE or not self._memory.explained)

    def saw(self, seen: Seen) -> None:
        """The step is over, and this is what its transaction holds."""
        self._seen = seen
        if self._memory is not None:
            self._memory.seen = seen.joined(self._memory.seen)
        if self._state is _RESOLVED:
            self._state = _READ

    def resolved(self) -> Footprint | None:
        """The footprint, None where it is not known: of what was not understood, and of all that follows it."""
        if self._state is not _RESOLVED:
            chain = [self]  # a transaction may have more statements than Python has frames
            while (before := chain[-1].unresolved) is not None:
                chain.append(before)
            for each in reversed(chain):
                each.resolve()
        return self._resolved

    @property
    def unresolved(self) -> Deferred | None:
        """The step before, if there is one and it is not resolved."""
        return None if self._before is None or self._before._state is _RESOLVED else self._before  # noqa: SLF001

    def resolve(self) -> None:
        """Work it out. What comes before it is resolved."""
        self._read()
        self._state, self._resolved = _RESOLVED, None
        if self._held is not None and (accesses := self._with_what_was_seen(self._held)) is not None:
            self._resolved = Footprint(accesses, self._held, self._level, snapshot=self._before is None)

    def _read(self) -> None:
        if self._accesses is None or self._state is not _UNREAD:
            return
        self._own, self._accesses, self._state = self._accesses(), None, _READ
        self._held = ()
        if self._before is not None:
            before = self._before.resolved()
            self._held = None if before is None else tuple(dict.fromkeys((*before.held, *before.accesses)))

    def _with_what_was_seen(self, held: tuple[Access, ...]) -> tuple[Access, ...] | None:
        seen = self._seen
        if seen is None and self._memory is not None:
            seen = self._memory.seen
        if seen is None:
            return self._own
        if self._own is None:
            return None if seen.obscure or self._wild() else seen.relations
        own = tuple(_widened(each, seen.wholly) for each in self._own)
        known = (*held, *own)
        more = tuple(each for each in seen.relations if not any(_explains(other, each) for other in known))
        if self._memory is not None and self._memory.explained is not False:
            self._memory.explained = not more and not seen.obscure and self._follows_what_is_explained
        return own + more

    @property
    def _follows_what_is_explained(self) -> bool:
        before = self._before
        return before is None or (before._memory is not None and bool(before._memory.explained))  # noqa: SLF001


_UNREAD, _READ, _RESOLVED = range(3)
_SERIALIZABLE = "SERIALIZABLE"


def _nothing() -> tuple[Access, ...]:
    return ()


def _explains(access: Access, seen: Access) -> bool:
    """Whether this access to some rows is a reason for that lock on their relation."""
    if access.rows.table != seen.rows.table:
        return False
    if seen.writes:
        return access.writes
    return bool(access.lock) if seen.lock else access.reads


def _widened(access: Access, wholly: Collection[str]) -> Access:
    """A read of some rows, as one of the whole table where the server watches all of it."""
    if not access.reads or access.rows.table not in wholly:
        return access
    return replace(access, rows=Rows(access.rows.table))
