"""Which steps depend on each other: those whose order shows in what happens after them.

The rules are PostgreSQL's, as its documentation of isolation and locking states them (chapters 13.2 and 13.3). Two
steps that no rule makes dependent may be swapped when they stand side by side: results, waits, deadlock victims and
final rows stay the same. `tests/search/test_reduction.py` holds that against a real server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from lab.model.footprint import Access, Footprint, Lock
from lab.model.trace import Action, ActionKind, Step

__all__ = ["ANY_TABLE", "EVERYTHING", "RULES", "Move", "dependent", "scanned_tables", "sees"]

EVERYTHING = Footprint(everything=True)
ANY_TABLE = "*"
_SERIALIZABLE = "SERIALIZABLE"
_READ_COMMITTED = "READ COMMITTED"
_HARMLESS = frozenset({ActionKind.SAVEPOINT, ActionKind.RELEASE, ActionKind.SLEEP})
"""They touch nothing: they take no snapshot, lock no row and read no data."""
_ENDS = frozenset({ActionKind.COMMIT, ActionKind.ROLLBACK, ActionKind.ROLLBACK_TO, ActionKind.RELEASE})
"""What others wait for is a transaction, or a part of one: when that is released they begin to wait anew."""
_AWAITED = "awaited "
"""Before the name of a table: somebody waited for a row of it, or failed, while two others may have had it."""
_THREE = 3


@dataclass(frozen=True, slots=True)
class Move:
    """A step as the relation sees it: its actor, what it touches, how it ended if it was taken.

    `waited`: it ended in a lock wait. `failed`: it ended with an error, so that the transaction's locks are free.
    """

    actor: str
    kind: ActionKind
    footprint: Footprint
    waited: bool = False
    failed: bool = False

    @classmethod
    def of(cls, actor: str, action: Action, *, waited: bool = False, failed: bool = False) -> Move:
        """The move that an action is. Without a footprint it may touch everything."""
        footprint = action.footprint
        if footprint is None:
            footprint = Footprint() if action.kind in _HARMLESS else EVERYTHING
        return cls(actor, action.kind, footprint, waited, failed)

    @classmethod
    def of_step(cls, step: Step) -> Move:
        """The move that a step of a trace was."""
        failed = bool(step.result and step.result.error)
        return cls.of(step.actor, step.action, waited=step.wait is not None, failed=failed)

    @property
    def root(self) -> str:
        """The root actor of the task that moves."""
        return self.actor.partition("/")[0]

    @property
    def ends(self) -> bool:
        """Whether it ends a transaction or a part of one."""
        return self.kind in _ENDS

    @property
    def publishes(self) -> bool:
        """Whether it makes writes visible to others."""
        return self.kind is ActionKind.COMMIT and any(access.writes for access in self.footprint.held)

    @property
    def requests(self) -> tuple[Access, ...]:
        """The locks that it requests."""
        return tuple(access for access in self.footprint.accesses if access.lock)

    @property
    def releases(self) -> tuple[Access, ...]:
        """The locks that it releases."""
        if not (self.ends or self.failed):
            return ()
        held = self.footprint.held if self.ends else (*self.footprint.held, *self.footprint.accesses)
        return tuple(access for access in held if access.lock)


def scanned_tables(moves: Iterable[Move]) -> frozenset[str]:
    """Tables that somebody reads or locks in the order in which their rows lie; `ANY_TABLE` if that is not known.

    And those for whose rows somebody waited, or failed, while two others had one in modes that agree, marked as such.
    """
    found: set[str] = set()
    moves = tuple(moves)
    for move in moves:
        found.update(access.rows.table for access in move.footprint.accesses if access.scans)
        if move.footprint.everything and move.kind in (ActionKind.STATEMENT, ActionKind.FETCH):
            found.add(ANY_TABLE)
    if len({move.root for move in moves}) >= _THREE:
        # One that fails may have closed a circle of waits, and would only have waited for the other of the two.
        asked = [move for move in moves if move.waited or move.failed]
        found.update(_AWAITED + table for move in asked for table in _agreed(move, moves))
    return frozenset(found)


def _agreed(waiting: Move, moves: Sequence[Move]) -> Iterator[str]:
    """The tables in which two others request one row, which the waiting one may want, in modes that agree."""
    wanted = waiting.requests
    requests = [
        (move.root, each)
        for move in moves
        if move.root != waiting.root
        for each in move.requests
        if waiting.footprint.everything or any(each.rows.meet(mine.rows) for mine in wanted)
    ]
    for (root, one), (other_root, other) in combinations(requests, 2):
        if root != other_root and one.rows.meet(other.rows) and not one.lock.clashes(other.lock):
            yield one.rows.table


def dependent(one: Move, other: Move, scanned: frozenset[str] = frozenset()) -> bool:
    """Whether the order of two adjacent steps can make a difference. Symmetric; true for steps of one actor.

    `scanned` are the tables on which the order of writes or locks shows.
    """
    if one.root == other.root or one.footprint.everything or other.footprint.everything:
        return True
    return any(rule(one, other, scanned) for rule in RULES)


def _order_of_writes_shows(one: Move, other: Move, scanned: frozenset[str]) -> bool:
    """Each write takes the next free place, which shows where somebody meets rows in the order in which they lie."""
    if not scanned:
        return False
    both = _written(one) & _written(other)
    return bool(both) if ANY_TABLE in scanned else not both.isdisjoint(scanned)


def _written(move: Move) -> set[str]:
    return {access.rows.table for access in move.footprint.accesses if access.writes}


def _locks_clash(one: Move, other: Move, scanned: frozenset[str]) -> bool:
    """Two requests for one row, or a request and the release of what it may wait for. Two releases never clash."""
    mine, theirs = one.requests, other.requests
    return _clash(mine, theirs) or _clash(one.releases, theirs) or _clash(mine, other.releases)


def _clash(some: tuple[Access, ...], others: tuple[Access, ...]) -> bool:
    return any(a.lock.clashes(b.lock) and a.rows.meet(b.rows) for a in some for b in others)


def _third_waits(one: Move, other: Move, scanned: frozenset[str]) -> bool:
    """Two have one row, in modes that agree. Who waits for both waits for the first one first, so deadlocks differ."""
    return any(_AWAITED + a.rows.table in scanned and a.rows.meet(b.rows) for a in one.requests for b in other.requests)


def _waits_meet(one: Move, other: Move, scanned: frozenset[str]) -> bool:
    """Who waits last finds the deadlock, whatever rows they wait for; so waits keep their order among lock requests."""
    return (one.waited and bool(other.requests or other.releases)) or (
        other.waited and bool(one.requests or one.releases)
    )


def sees(reader: Move, writer: Move) -> bool:
    """Whether a commit changes what a statement finds: at READ COMMITTED each sees anew, above only the first does."""
    if not writer.publishes or reader.ends:
        return False
    if reader.footprint.snapshot and reader.footprint.level != _READ_COMMITTED:
        return True
    if reader.footprint.level != _READ_COMMITTED:
        return False
    return _meet_in_a_write(reader.footprint.accesses, writer.footprint.held)


def _one_sees(one: Move, other: Move, scanned: frozenset[str]) -> bool:
    return sees(one, other) or sees(other, one)


def _both_publish(one: Move, other: Move, scanned: frozenset[str]) -> bool:
    return one.publishes and other.publishes


def _meet_in_a_write(reads: tuple[Access, ...], writes: tuple[Access, ...]) -> bool:
    return any(r.reads and w.writes and r.rows.meet(w.rows) for r in reads for w in writes)


def _both_serializable(one: Move, other: Move) -> bool:
    """Serializable snapshot isolation tracks reads against writes, but only among transactions of its level."""
    return one.footprint.level == _SERIALIZABLE == other.footprint.level


def _one_ends(one: Move, other: Move, scanned: frozenset[str]) -> bool:
    """Who commits first decides who is refused.

    A dangerous structure spans three transactions, so a commit may matter to a statement that shares no row with it.
    """
    if not _both_serializable(one, other) or not (one.ends or other.ends or one.failed or other.failed):
        return False
    mine, theirs = one.footprint, other.footprint
    return bool(mine.accesses or mine.held) and bool(theirs.accesses or theirs.held)


def _read_meets_write(one: Move, other: Move, scanned: frozenset[str]) -> bool:
    if not _both_serializable(one, other) or one.ends or other.ends:
        return False
    mine, theirs = one.footprint.accesses, other.footprint.accesses
    pairs = [(r, w) for reads, writes in ((mine, theirs), (theirs, mine)) for r in reads for w in writes]
    return any(_meet_on_a_page(read, write) for read, write in pairs)


def _meet_on_a_page(read: Access, write: Access) -> bool:
    """Whether what a serializable transaction watches may be what another one writes.

    A search by a key watches pages of an index, where the entries of new rows and new keys come in as well.
    """
    if not (read.reads and write.writes):
        return False
    enters = (write.enters or write.lock is Lock.UPDATE) and read.rows.table == write.rows.table
    return enters or read.rows.meet(write.rows)


RULES: tuple[Callable[[Move, Move, frozenset[str]], bool], ...] = (
    *(
        _locks_clash,
        _third_waits,
        _waits_meet,
        _one_sees,
        _one_ends,
        _read_meets_write,
        _both_publish,
        _order_of_writes_shows,
    ),
)
"""Each makes two steps of different actors dependent; none of them can be left out (`bench/reduction_faults.py`)."""
