"""A statement takes long."""

from __future__ import annotations

from lab.engine.execution import Execution
from lab.engine.faults.fault import Fault, about_to, let_pass
from lab.engine.ports import Striker
from lab.model.trace import ActionKind

__all__ = ["FAULT"]


SECONDS = 60.0


class Slow(Fault):
    """A minute passes before the statement is done: leases run out, and every timeout that is due until then fires.

    Only the clocks move. Others may take steps before the statement's effect, as while it is under way.
    """

    name = "slow"
    help = "A statement takes a minute: leases run out meanwhile, and timeouts fire."
    story = "a minute passes before the statement of {} is done"

    def victims(self, execution: Execution) -> list[str]:
        """The actors that are about to execute a statement."""
        statement = (ActionKind.STATEMENT,)
        return [name for name in super().victims(execution) if about_to(execution, name, statement) is not None]

    async def strike(self, victim: str, execution: Execution, striker: Striker) -> tuple[str]:
        """Let the time pass."""
        let_pass(execution, SECONDS)
        return (victim,)


FAULT = Slow()
