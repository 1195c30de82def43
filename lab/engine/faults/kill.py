"""Killing an actor's connection."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.ports import Striker

__all__ = ["FAULT"]


class Kill(Fault):
    """The actor learns of it as in production: from the next answer of its connection, if it asks again."""

    name = "kill"
    help = "The actor's connection is ended by the server, as an administrator or a proxy does."
    story = "the connection of {} is killed"

    def victims(self, execution: Execution) -> list[str]:
        """The actors that have used a connection since the last one of theirs was killed."""
        return [name for name in super().victims(execution) if name in execution.serving]

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """End the session that the actor used last."""
        await striker.kill(execution.serving.pop(victim).pid)
        return (victim,)


FAULT = Kill()
