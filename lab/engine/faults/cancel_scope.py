"""Cancelling the scope of anyio in which an actor is."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.inprocess.anyio_things import scope_of
from lab.engine.ports import Striker

__all__ = ["FAULT"]


class CancelScope(Fault):
    """All that is awaited in the scope from now on is cancelled as well, also while the actor cleans up.

    That tells it from `cancel`, which strikes once, as asyncio does. What is awaited in a shielded scope within is not:
    who is in a shield is struck through the scope around it, and meets that when it leaves the shield.
    """

    name = "cancel-scope"
    help = "The innermost scope of anyio in which the actor is, a task group's as well, is cancelled, but no shield."
    story = "the scope of {} is cancelled"

    def victims(self, execution: Execution) -> list[str]:
        """The actors whose code is in a scope that is not cancelled yet."""
        actors = (execution.actors[name] for name in super().victims(execution))
        return [actor.name for actor in actors if actor.tasks == 1 and scope_of(actor.task) is not None]

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Cancel it."""
        if (scope := scope_of(execution.actors[victim].task)) is not None:
            scope.cancel()
        return (victim,)


FAULT = CancelScope()
