"""What the server refuses with an error code of its own, as a fault."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault, about_to
from lab.engine.gate import Actor
from lab.engine.ports import Striker
from lab.engine.refused import Refused
from lab.model.trace import ActionKind

__all__ = ["Refusal"]


class Refusal(Fault):
    """The server refuses the actor's next statement, and with it the transaction, as it would for a reason of its own.

    It does so for real: in place of the statement it gets one that raises this error, so that the transaction is
    aborted, its locks are free, and the driver raises what it raises for this SQLSTATE. Where the actor is about to
    COMMIT, the transaction is rolled back.
    """

    sqlstate: str
    """Its code, by which an actor says that it survives it."""
    message: str
    """In the words of PostgreSQL."""
    kinds: frozenset[ActionKind] = frozenset({ActionKind.STATEMENT})
    """Before what it can strike."""
    story = "the server refuses what {} asks next"

    def victims(self, execution: Execution) -> list[str]:
        """The actors that are about to ask the server for something that it can refuse so."""
        return [name for name in super().victims(execution) if self._asker(execution, name) is not None]

    def _asker(self, execution: Execution, name: str) -> Actor | None:
        actor = about_to(execution, name, self.kinds)
        return None if actor is None or actor.refused is not None else actor

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Have its next operation refused."""
        if (actor := self._asker(execution, victim)) is not None:
            actor.refused = Refused(self.sqlstate, self.message)
        return (victim,)
