"""Breakpoints as decisions: where statements can pause now, and pausing one.

The lab locks the row, lets the actor begin its statement, and lets the lock go as soon as the actor has come to rest:
it then waits for that row, or never reached it. So the lock lives for one step, in which nobody else runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.engine.execution import Execution
from lab.engine.gate import Actor, State
from lab.engine.ports import HELD, LockableRow, RowLocks
from lab.model.choices import Alternative
from lab.model.decision import BREAKPOINT, FOR_A_STATEMENT, FOR_AN_EXECUTION, Pause
from lab.model.trace import ActionKind, LockWait

__all__ = ["Breakpoints"]


class Breakpoints:
    """The breakpoints of one execution; `locks` is None where there are to be none.

    Without `may_pause` the first statement that could pause is only noticed.
    """

    def __init__(self, execution: Execution, locks: RowLocks | None, *, may_pause: bool) -> None:
        self._execution = execution
        self._locks = locks
        self._may_pause = may_pause
        self.missed = False
        """A statement met several rows, and no session can be stopped between them here."""
        self._left = FOR_AN_EXECUTION if locks is not None else 0
        self._rows: dict[str, Sequence[LockableRow]] = {}
        """The rows of each actor's pending statement, as they were found for the decision that is being made."""
        self._set: tuple[Actor, object, Pause] | None = None
        """The breakpoint of the step that is under way."""

    @property
    def needs_a_question(self) -> bool:
        """Whether the server must be queried before the next decision."""
        return self._set is not None or bool(self._left and any(map(_is_bulk, self._execution.actors.values())))

    async def alternatives(self) -> tuple[Alternative, ...]:
        """The breakpoints that can be set now, in the order of the actors and of the rows."""
        if not self.needs_a_question:
            return ()
        assert self._locks is not None
        found = []
        for actor in sorted(filter(_is_bulk, self._execution.actors.values()), key=lambda actor: actor.rank):
            rows = self._rows[actor.name] = await self._locks.rows(actor.bulk)
            self._execution.own[self._locks.pid] = BREAKPOINT
            places = _spread(rows)
            if places and not self._may_pause:
                self.missed, self._left = True, 0
                return ()
            found += [Alternative(Pause(actor.name, number), actor.action) for number in places]
        return tuple(found)

    async def set(self, pause: Pause) -> None:
        """Lock the row of this breakpoint; its actor takes its step next."""
        assert self._locks is not None
        actor = self._execution.actors[pause.actor]
        self._left -= 1
        self._set = actor, actor.bulk, pause
        await self._locks.hold(actor.bulk, self._rows[pause.actor][pause.place - 1])

    async def settle(self) -> LockWait | None:
        """At rest: let the row go. Returns where the actor has paused, or None if it has not."""
        if self._set is None:
            return None
        (actor, statement, pause), self._set = self._set, None
        assert self._locks is not None
        waits = actor.state is State.WAITING and actor.wait is not None and BREAKPOINT in actor.wait.holders
        rows = self._rows[pause.actor]
        before, after = rows[pause.place - 1], rows[pause.place - 2] if pause.place > 1 else None
        # Nobody else ran in this step, so a row that was free and no longer is has been locked by this statement.
        passed = waits and after is not None and await self._locks.is_taken(statement, after)
        await self._locks.let_go()
        await self._execution.rest()
        if not waits:
            return None
        place = f"before row {before.text} of {before.table}"
        return LockWait((BREAKPOINT,), target=f"after row {after.text}, {place}" if after and passed else place)

    async def abandon(self) -> None:
        """Let the row go, whatever happened."""
        if self._set is not None and self._locks is not None:
            self._set = None
            await self._locks.let_go()


def _is_bulk(actor: Actor) -> bool:
    asks = actor.bulk is not None and actor.bulk is not HELD
    return asks and actor.state is State.PARKED and actor.action.kind is ActionKind.STATEMENT


def _spread(rows: Sequence[LockableRow]) -> Sequence[int]:
    """The numbers of a few rows; the first only where it matters: a statement that pauses there holds no row yet."""
    first, last = 1 if rows and rows[0].is_early else 2, len(rows)
    if last < first + FOR_A_STATEMENT:
        return range(first, last + 1)
    return first, (last + 2) // 2, last
