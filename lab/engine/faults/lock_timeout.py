"""A statement waits for a lock for too long."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.gate import State
from lab.engine.ports import Backend, Striker
from lab.model.decision import BREAKPOINT

__all__ = ["FAULT"]


class LockTimeout(Fault):
    """The server cancels the statement for real, so its transaction is aborted as by a `lock_timeout`.

    What is not real is the reason: the server says 57014, that a user cancelled it, and the driver's error is turned
    into 55P03 with PostgreSQL's words for a lock timeout. No setting of the session has a part in it.
    """

    name = "lock-timeout"
    help = "The server cancels a statement that waits for a lock with 55P03, as it does when lock_timeout is over."
    story = "the lock_timeout of {} is over"

    def victims(self, execution: Execution) -> list[str]:
        """The actors whose statement waits for a lock of somebody else; a pause of the lab's is no wait."""
        return [name for name in super().victims(execution) if self._waiter(execution, name) is not None]

    @staticmethod
    def _waiter(execution: Execution, name: str) -> Backend | None:
        family = (actor for actor in execution.actors.values() if actor.root.name == name)
        waiting = (each for each in family if each.state is State.WAITING and each.wait is not None)
        return next((each.backend for each in waiting if each.wait and BREAKPOINT not in each.wait.holders), None)

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Have the statement cancelled; the actor learns of it when it goes on."""
        if (backend := self._waiter(execution, victim)) is not None:
            await striker.let_lock_time_out(backend.pid)
        return (victim,)


FAULT = LockTimeout()
