"""The faults of one execution: which can strike now, and striking one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.engine.execution import Execution
from lab.engine.faults import FAULTS, Fault
from lab.engine.ports import Striker
from lab.model.choices import Alternative
from lab.model.decision import SERVER, Strike
from lab.model.trace import Action, ActionKind

__all__ = ["Strikes"]


class Strikes:
    """The faults of one execution. `struck` names the actors that one hit: their errors are its work, not theirs."""

    def __init__(
        self, execution: Execution, striker: Striker, names: Sequence[str], at_least: int, at_most: int
    ) -> None:
        self._execution = execution
        self._striker = striker
        self._faults = tuple(FAULTS[name] for name in names)
        self._owed = at_least
        self._left = at_most
        self.struck: set[str] = set()

    @property
    def has_any(self) -> bool:
        """Whether the scenario is to withstand any fault at all."""
        return bool(self._faults)

    def alternatives(self) -> Iterator[Alternative]:
        """The faults that can strike now, in the scenario's order."""
        if self._left:
            for fault in self._faults:
                for victim in fault.victims(self._execution):
                    yield _alternative(fault, victim)

    def owed(self) -> Iterator[Alternative]:
        """When all actors are done: the fault that the scenario wants in every execution, if none has struck yet."""
        if self._owed > 0:
            yield from (_alternative(fault, SERVER) for fault in self._faults if fault.may_come_last)

    async def strike(self, decision: Strike) -> None:
        """Let a fault strike; the actors that it moves run when this returns."""
        self._left -= 1
        self._owed -= 1
        self.struck.update(await FAULTS[decision.fault].strike(decision.actor, self._execution, self._striker))


def _alternative(fault: Fault, victim: str) -> Alternative:
    return Alternative(Strike(fault.name, victim), Action(ActionKind.FAULT, fault.story.format(victim)))
