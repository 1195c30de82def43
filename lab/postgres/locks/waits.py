"""Who waits for whom, asked over the lab's own connection.

While one actor runs at a time, `pg_blocking_pids` is exact: nothing passes through a lock in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.postgres.locks.questions import answer
from lab.postgres.server.monitor import Monitor

__all__ = ["PostgresLockWaits"]

_BOTH = """
SELECT pid, pg_blocking_pids(pid) || pg_safe_snapshot_blocking_pids(pid) FROM unnest($1::int[]) AS pid
"""
_SAFE_SNAPSHOT = "SELECT pid, pg_safe_snapshot_blocking_pids(pid) FROM unnest($1::int[]) AS pid"
_END = "SELECT pg_terminate_backend(pid, 5000) FROM unnest($1::int[]) AS pid"
"""Waits, up to five seconds, until the processes are gone: only then are their locks."""
_CHECKS = """
SELECT setting::float / 1000, coalesce(extract(epoch FROM clock_timestamp() - waitstart)::float, 0.0)
FROM pg_locks, pg_settings WHERE name = 'deadlock_timeout' AND NOT granted AND pid = ANY($1::int[])
"""
CHECK_SECONDS = 0.1
"""How long a deadlock check may take, and its victim until it has let go of its locks."""
LONGEST_CHECK_SECONDS = 5.0
"""With a longer `deadlock_timeout` others go on while a deadlock is not found."""
APART_SECONDS = 0.03
"""By how much a loaded machine may be late with a check. Paid for each wait during which others send statements."""

PUSHED_POLL_SECONDS = 0.05
"""With reports pushed, asking serves only the one wait that has no report (a DEFERRABLE snapshot)."""
POLL_SECONDS = 0.002
"""Without reports, a statement in flight this long is asked about. Later is slower, sooner is more traffic;
the answer is exact either way, so no decision depends on the figure."""


@dataclass(frozen=True, slots=True)
class PostgresLockWaits:
    """The engine's `LockWaits`, on one monitoring connection."""

    monitor: Monitor
    reports: bool
    frozen: bool
    hushed: Callable[[], Collection[int]] = tuple
    """The processes that no longer report, since an actor changed their settings."""
    apart: float = APART_SECONDS
    """Seconds between the beginnings of two waits that are not reported."""

    @property
    def pushed(self) -> bool:
        """See `LockWaits`."""
        return self.reports and not self.hushed()

    @property
    def poll_seconds(self) -> float:
        """See `LockWaits`."""
        return PUSHED_POLL_SECONDS if self.pushed else POLL_SECONDS

    async def blockers(self, pids: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
        """See `LockWaits`."""
        return await self._holders(_BOTH, pids)

    async def gone(self, pids: Sequence[int]) -> None:
        """See `LockWaits`."""
        await self._answer(_END, pids)

    async def unreported(self, pids: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
        """See `LockWaits`."""
        silent = set(self.hushed()) if self.reports else set(pids)
        found: dict[int, tuple[int, ...]] = {}
        for query, asked in ((_BOTH, silent & set(pids)), (_SAFE_SNAPSHOT, set(pids) - silent)):
            if asked:
                found |= await self._holders(query, sorted(asked))
        return {pid: holders for pid, holders in found.items() if holders}

    async def seconds_to_checks(self, pids: Sequence[int], *, in_a_circle: bool, may_be_joined: bool) -> float:
        """See `LockWaits`.

        A session that cannot be told to check at once does so when it has waited for `deadlock_timeout`, and never
        again in that wait. Of a circle the first to check is refused. So that it is the same one each time, waits begin
        well apart from each other, and no decision is made when a check may be under way.
        """
        if self.reports:
            return 0.0
        left = [0.0]
        for timeout, age in await self._answer(_CHECKS, pids):
            over = timeout + CHECK_SECONDS
            if timeout / 2 < age < over or (in_a_circle and age < over <= LONGEST_CHECK_SECONDS):
                left.append(over - age)
            if may_be_joined and age < (apart := min(self.apart, timeout / 2)):
                left.append(apart - age)
        return max(left)

    async def _holders(self, query: str, pids: Sequence[int]) -> dict[int, tuple[int, ...]]:
        return {pid: tuple(holders) for pid, holders in await self._answer(query, pids)}

    async def _answer(self, query: str, pids: Sequence[int]) -> Any:
        return await answer(self.monitor, query, pids, "who waits for whom")
