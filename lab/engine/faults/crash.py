"""Crashing the server."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.gate import State
from lab.engine.ports import Striker

__all__ = ["FAULT"]


class Crash(Fault):
    """It also shows what a COMMIT that was answered is worth, so it may come when all actors are done."""

    name = "crash"
    help = "The server crashes and comes up again: all connections break, and what was not yet written is lost."
    story = "the {} crashes and starts again"
    of_server = True
    needs_own_server = True
    may_come_last = True

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> list[str]:
        """Crash the server and wait until it is up again. It hits every actor that is not done, and their tasks."""
        hit = [actor.name for actor in execution.actors.values() if actor.state is not State.DONE]
        execution.serving.clear()
        await striker.crash()
        return hit


FAULT = Crash()
