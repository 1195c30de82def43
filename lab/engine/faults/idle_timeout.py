"""A session is idle in a transaction for too long."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.ports import Striker

__all__ = ["FAULT"]


class IdleTimeout(Fault):
    """Real: the session's own setting is made one millisecond, and the server ends it.

    A transaction that has failed takes no setting; its session is ended as by an administrator.
    """

    name = "idle-timeout"
    help = "The server ends the actor's session with 25P03, as idle_in_transaction_session_timeout has it."
    story = "{} is idle in its transaction for too long, and the server ends its session"

    def victims(self, execution: Execution) -> list[str]:
        """The actors that do something else while a transaction of theirs is open."""
        return [name for name in super().victims(execution) if self._is_idle(execution, name)]

    @staticmethod
    def _is_idle(execution: Execution, name: str) -> bool:
        backend = execution.serving.get(name)
        return backend is not None and execution.striker.is_idle_in_transaction(backend.pid)

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Let the server end the session, and wait until it has."""
        await striker.let_idle_time_out(execution.serving.pop(victim).pid)
        return (victim,)


FAULT = IdleTimeout()
