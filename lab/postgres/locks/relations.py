"""What an open transaction has touched, as its locks on relations say.

PostgreSQL keeps the lock of every relation that a statement reads or writes until the transaction ends, whoever named
it: a function, a trigger, a rule, a view (documentation, 13.3 and 53.13).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.model.footprint import Access, Lock, Rows, Seen
from lab.postgres.locks.questions import answer
from lab.postgres.server.monitor import Monitor
from lab.postgres.statements.shapes import Relations

__all__ = ["RelationLocks"]

_HELD = """
SELECT pid, locktype, relation::bigint, mode, tuple IS NULL FROM pg_locks
WHERE pid = ANY ($1::int[]) AND granted AND locktype IN ('relation', 'page', 'tuple', 'object', 'virtualxid')
"""
_OPEN = "virtualxid"
"""Every transaction holds a lock on its own number; without one there is no transaction, or it has failed."""
_PREDICATE = "SIReadLock"
_MODES: Mapping[str, tuple[Lock, bool]] = {
    "AccessShareLock": (Lock.NONE, False),
    "RowShareLock": (Lock.UPDATE, False),
    "RowExclusiveLock": (Lock.UPDATE, True),
}
"""What those do who take a lock of this mode: the strongest row lock, and whether they write."""


@dataclass(frozen=True, slots=True)
class RelationLocks:
    """The engine's `Relations`."""

    monitor: Monitor
    relations: Relations

    async def held(self, pids: Sequence[int]) -> Mapping[int, Seen]:
        """See `Relations`."""
        found: dict[int, list[Any]] = {}
        for row in await answer(self.monitor, _HELD, pids, "what statements touched"):
            found.setdefault(row[0], []).append(row[1:])
        return {pid: self._seen(rows) for pid, rows in found.items() if any(row[0] == _OPEN for row in rows)}

    def _seen(self, rows: Iterable[Any]) -> Seen:
        accesses: dict[Access, None] = {}
        wholly: set[str] = set()
        obscure = False
        for kind, relation, mode, coarse in rows:
            if kind == _OPEN or relation in self.relations.silent:
                continue
            name = self.relations.names.get(relation)
            if mode == _PREDICATE:
                if coarse and name is not None:
                    wholly.add(name)
            elif kind == "relation" and name is not None and mode in _MODES:
                lock, writes = _MODES[mode]
                accesses[Access(Rows(name), lock, reads=True, writes=writes, scans=True)] = None
            elif kind != "tuple":
                obscure = True
        return Seen(tuple(sorted(accesses, key=repr)), frozenset(wholly), obscure)
