"""The answer to a COMMIT is lost."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.gate import State
from lab.engine.ports import Cut, Striker
from lab.model.trace import ActionKind

__all__ = ["FAULT", "LostAnswer"]


class LostAnswer(Fault):
    """The server has committed, and nobody knows. It strikes before the COMMIT, which breaks when its actor goes on.

    The actor cannot tell this from the world in which the request was lost, so both are searched.
    """

    name = "lost-answer"
    help = "The server commits, and the connection breaks before its answer comes: the COMMIT is in doubt."
    story = "the answer to the COMMIT of {} gets lost"
    brings: tuple[str, ...] = ("lost-request",)
    cut = Cut.BEFORE_ANSWER

    def victims(self, execution: Execution) -> list[str]:
        """The actors that are about to COMMIT."""
        return [name for name in super().victims(execution) if self._can_strike(execution, name)]

    @staticmethod
    def _can_strike(execution: Execution, name: str) -> bool:
        actor = execution.actors[name]
        return actor.state is State.PARKED and actor.action.kind is ActionKind.COMMIT and actor.cut is None

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Have the connection break when the actor goes on."""
        execution.actors[victim].cut = self.cut
        execution.serving.pop(victim, None)
        return (victim,)


FAULT = LostAnswer()
