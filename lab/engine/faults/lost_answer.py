"""The answer to a COMMIT is lost."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault, about_to
from lab.engine.gate import Actor
from lab.engine.ports import Cut, Striker
from lab.model.trace import ActionKind

__all__ = ["FAULT", "LostAnswer"]


class LostAnswer(Fault):
    """The server has committed, and nobody knows. It strikes before the COMMIT, which breaks when its actor goes on.

    The actor cannot tell this from the world in which the request was lost, so both are searched.
    """

    name = "lost-answer"
    help = "The server commits, and the connection breaks before its answer comes: the COMMIT is in doubt."
    story = "the COMMIT of {} reaches the server, and its answer gets lost"
    brings: tuple[str, ...] = ("lost-request",)
    cut = Cut.BEFORE_ANSWER

    def victims(self, execution: Execution) -> list[str]:
        """The actors that are about to COMMIT."""
        return [name for name in super().victims(execution) if self._committer(execution, name) is not None]

    @staticmethod
    def _committer(execution: Execution, name: str) -> Actor | None:
        actor = about_to(execution, name, (ActionKind.COMMIT,))
        return None if actor is None or actor.cut is not None else actor

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Have the connection break when the COMMIT is sent."""
        if (actor := self._committer(execution, victim)) is not None:
            actor.cut = self.cut
        execution.serving.pop(victim, None)
        return (victim,)


FAULT = LostAnswer()
