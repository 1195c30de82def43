"""Cancelling an actor."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.ports import Striker

__all__ = ["FAULT"]


class Cancel(Fault):
    """The cancellation reaches the actor where it waits, as any in asyncio does."""

    name = "cancel"
    help = "The actor's task is cancelled, as a web framework does when the client hangs up."
    story = "{} is cancelled"

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Cancel the actor's task."""
        if (task := execution.actors[victim].task) is not None:
            task.cancel()
        return (victim,)


FAULT = Cancel()
