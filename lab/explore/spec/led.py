"""The sessions of a spec, led by somebody who decides at each step, without a listed permutation."""

from __future__ import annotations

from lab.explore.spec.conductor import Conductor
from lab.explore.spec.talk import Rows

__all__ = ["Led"]

_HOLDERS = "SELECT pg_catalog.pg_blocking_pids(pid) FROM unnest(ARRAY{}) AS pid"


class Led(Conductor):
    """Its steps are taken one by one; an execution that cannot end is given up."""

    @property
    def ready(self) -> list[int]:
        """The sessions that have no step under way, by their places."""
        return [number for number in range(len(self._talks)) if number not in self._active]

    async def settle(self) -> bool:
        """Nobody has a step to take but those who wait: wait for one of them. Raises `Aborted`.

        False if one of them waits for sessions that have nothing left to do, so that nothing will end it but a timeout
        of the spec's own.
        """
        pids = [self._talks[each.call.step.session].pid for each in self._waiting]
        parts = await self._control.complete(_HOLDERS.format(pids), self._longest)
        holders = {each.strip(b"{}") for part in parts if isinstance(part, Rows) for (each,) in part.rows if each}
        waiting = {str(pid).encode() for pid in pids}
        if any(each and waiting.isdisjoint(each.split(b",")) for each in holders) and not self._has_timeouts:
            return False
        await self._wait_for(self._waiting[0].call.step.session)
        return True

    async def give_up(self) -> None:
        """End what waits and what is open, so that the teardowns find all as they would in the end."""
        for answer in self._waiting:
            pid = self._talks[answer.call.step.session].pid
            await self._control.complete(f"SELECT pg_catalog.pg_cancel_backend({pid})", self._longest)
        await self._look_at_waiting(blocked_is_fine=False)
        for talk in self._talks:
            await talk.complete("ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all()", self._longest)

    @property
    def _has_timeouts(self) -> bool:
        sessions = self.spec.sessions
        texts = [text for each in sessions for text in (each.setup or "", *(step.sql for step in each.steps))]
        return any("lock_timeout" in text or "statement_timeout" in text for text in texts)
