"""What keeps an actor from getting a connection, as a fault."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault
from lab.engine.gate import Actor, State
from lab.engine.ports import Striker
from lab.engine.refused import Unconnected
from lab.model.trace import Taken

__all__ = ["NoConnection"]


class NoConnection(Fault):
    """There is no connection for the actor.

    It strikes where the actor is about to send its first statement on a connection: nothing that others can see
    happens between that it gets one and this, so whether there is one is decided here. The statement is not sent, and
    raises what would have been raised when the connection was asked for. What is asked for next may get one.
    """

    @property
    @abstractmethod
    def refusal(self) -> Unconnected:
        """What the actor is told."""

    def strikes(self, taken: Taken) -> bool:
        """Whether it can keep a connection back that was taken so."""
        return True

    def victims(self, execution: Execution) -> Sequence[str]:
        """The actors that are about to use a connection for the first time since they took it."""
        return [name for name in super().victims(execution) if self._taker(execution, name) is not None]

    def _taker(self, execution: Execution, name: str) -> Actor | None:
        family = (actor for actor in execution.actors.values() if actor.root.name == name)
        parked = (each for each in family if each.state is State.PARKED and each.refused is None)
        return next((each for each in parked if each.action.taken and self.strikes(each.action.taken)), None)

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Keep the connection back."""
        if (actor := self._taker(execution, victim)) is not None:
            actor.refused = self.refusal
        return (victim,)
