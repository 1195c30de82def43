"""An actor's connection breaks on its own side."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.ports import Striker

__all__ = ["FAULT"]


class Disconnect(Fault):
    """No server says so: the actor's operation ends in the middle, or the next one finds the connection closed.

    The cut is real. In production the server may notice it late, in a lock wait only when the lock is there; here it
    notices at once, since its session is ended too.
    """

    name = "disconnect"
    help = "The actor's connection breaks without a word of the server, as when a network fails."
    story = "the connection of {} breaks"

    def victims(self, execution: Execution) -> list[str]:
        """The actors that have used a connection since the last one of theirs was ended."""
        return [name for name in super().victims(execution) if name in execution.serving]

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Cut the connection that the actor used last."""
        await striker.disconnect(execution.serving.pop(victim).pid)
        return (victim,)


FAULT = Disconnect()
