"""The connections of a pool are all taken."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import let_pass
from lab.engine.faults.unconnected import NoConnection
from lab.engine.ports import Striker
from lab.engine.refused import Unconnected
from lab.model.trace import Taken

__all__ = ["FAULT"]


class FullPool(NoConnection):
    """Others have them, for longer than the pool lets wait. Timeouts that are due meanwhile fire first."""

    name = "full-pool"
    help = "A pool of SQLAlchemy has no connection for the actor within pool_timeout: others have them all."
    story = "the pool has no connection for {}"
    refusal = Unconnected("", "connection timed out")

    def strikes(self, taken: Taken) -> bool:
        """Only what was taken from a pool that has an end."""
        return taken.pool_seconds is not None

    def told(self, victim: str, execution: Execution) -> str:
        """How long the actor waits for it."""
        return f"{self._seconds(execution, victim):.6g} s pass: {super().told(victim, execution)}"

    def _seconds(self, execution: Execution, victim: str) -> float:
        actor = self._taker(execution, victim)
        return 0.0 if actor is None or actor.action.taken is None else actor.action.taken.pool_seconds or 0.0

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Let the time pass, and keep the connection back."""
        seconds = self._seconds(execution, victim)
        hit = await super().strike(victim, execution, striker)
        let_pass(execution, seconds)
        return hit


FAULT = FullPool()
