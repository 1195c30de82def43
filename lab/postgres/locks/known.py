"""What is known of locks without a question to the server, since the lab sees all that its sessions do.

Only where no session is there but the lab's: on its own server. A session that waits for a transaction waits until that
has ended, and a transaction holds what its statements were understood to lock. What is not known is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lab.postgres.locks.waits import PostgresLockWaits
from lab.postgres.statements.held import HeldRows
from lab.postgres.statements.met import MetRow

__all__ = ["KnownWaits", "Session", "rows_taken"]


class Session(Protocol):
    """One connection of an actor."""

    @property
    def pid(self) -> int:
        """Process id of its server process."""

    @property
    def transaction_open(self) -> bool:
        """Whether a transaction is open here."""

    @property
    def busy_for(self) -> object | None:
        """The actor whose operation is under way here."""

    @property
    def held(self) -> HeldRows:
        """What its open transaction has locked."""

    waits_for_a_transaction: object | None
    """The report that its statement waits for the end of a transaction; None where it waits for something else."""

    def is_closed(self) -> bool:
        """Whether it was closed."""


class Holding(Protocol):
    """A session of the lab's own that locks rows for breakpoints."""

    @property
    def is_holding(self) -> bool:
        """Whether it may hold rows."""


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whose transaction a session waits for, since a report of this wait; None where that is nobody's here."""

    report: object
    session: Session | None


@dataclass(slots=True)
class KnownWaits:
    """The engine's `LockWaits`, with answers that need no question. Without `sessions` each does."""

    waits: PostgresLockWaits
    sessions: Sequence[Session]
    own: Holding
    """The lab's own locks: who waits for one of these is asked about."""
    _holders: dict[int, _Holder] = field(default_factory=dict)
    """By the process that waits."""

    @property
    def pushed(self) -> bool:
        """See `LockWaits`."""
        return self.waits.pushed

    @property
    def frozen(self) -> bool:
        """See `LockWaits`."""
        return self.waits.frozen

    @property
    def poll_seconds(self) -> float:
        """See `LockWaits`."""
        return self.waits.poll_seconds

    async def blockers(self, pids: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
        """See `LockWaits`. All are asked about where one has to be."""
        by_pid = {each.pid: each for each in self.sessions if not each.is_closed()}
        found = {}
        if self.waits.pushed and self.waits.frozen and not self.own.is_holding:
            for pid in pids:
                if pid not in by_pid or (known := self._known(by_pid[pid])) is None:
                    break
                found[pid] = known
            else:
                return found
        answered = await self.waits.blockers(pids)
        for pid, holders in answered.items():
            waiting = by_pid.get(pid)
            if waiting is not None:
                holder = by_pid.get(holders[0]) if len(holders) == 1 else None
                self._holders[pid] = _Holder(waiting.waits_for_a_transaction, holder)
        return answered

    def _known(self, waiting: Session) -> tuple[int, ...] | None:
        """The processes that hold what this session waits for; None if that is not known."""
        report = waiting.waits_for_a_transaction
        if report is None:
            return None
        holder = self._holders.get(waiting.pid)
        if holder is None or holder.report is not report:
            others = [each for each in self.sessions if each is not waiting and _may_lock(each)]
            if len(others) != 1 or not others[0].transaction_open or not _is_understood(others[0]):
                return None
            holder = self._holders[waiting.pid] = _Holder(report, others[0])
        session = holder.session
        if session is None or session.is_closed():
            return None
        if not _may_lock(session):
            return ()
        return (session.pid,) if _is_understood(session) else None

    async def gone(self, pids: Sequence[int]) -> None:
        """See `LockWaits`."""
        await self.waits.gone(pids)

    async def unreported(self, pids: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
        """See `LockWaits`."""
        return await self.waits.unreported(pids)

    async def seconds_to_checks(self, pids: Sequence[int], **ahead: Any) -> float:
        """See `LockWaits`."""
        return await self.waits.seconds_to_checks(pids, **ahead)


def _may_lock(session: Session) -> bool:
    return not session.is_closed() and (session.transaction_open or session.busy_for is not None)


def _is_understood(session: Session) -> bool:
    return session.held.is_understood(under_way=session.busy_for is not None)


def rows_taken(sessions: Sequence[Session], rows: Collection[MetRow]) -> Collection[MetRow] | None:
    """Which of these rows a transaction has locked; None if that is not known. A statement under way may lock any."""
    if not sessions:
        return None
    taken = set()
    for session in filter(_may_lock, sessions):
        if session.busy_for is not None:
            return None
        for row in rows:
            if (takes := session.held.takes(row)) is None:
                return None
            if takes:
                taken.add(row)
    return taken
