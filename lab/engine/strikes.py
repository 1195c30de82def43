"""The faults of one execution: which can strike now, and striking one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

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
        self,
        execution: Execution,
        striker: Striker,
        names: Sequence[str],
        at_least: int,
        at_most: int,
        survives: Mapping[str, Sequence[str]],
    ) -> None:
        self._execution = execution
        self._striker = striker
        self._faults = tuple(FAULTS[name] for name in names)
        self._survives = survives
        """Actor -> the faults that it is to survive: they strike it, and do not excuse it."""
        self._owed = at_least
        self._left = at_most
        self.struck: set[str] = set()

    @property
    def has_any(self) -> bool:
        """Whether any fault may strike: the scenario is to withstand one, or an actor has set a timeout."""
        return bool(self._faults or self._survives) or self._execution.clock.timers.first() is not None

    def alternatives(self) -> Iterator[Alternative]:
        """The faults that can strike now, in the order in which they were asked for."""
        if self._left:
            for fault in self._faults:
                for victim in fault.victims(self._execution):
                    yield self._alternative(fault, victim)
            for actor, names in self._survives.items():
                for fault in (FAULTS[name] for name in names if FAULTS[name] not in self._faults):
                    if actor in fault.victims(self._execution):
                        yield self._alternative(fault, actor)
        yield from self.unasked()

    def unasked(self) -> Iterator[Alternative]:
        """The faults that come of the actors' own code: the timeout that is due first."""
        for fault in _UNASKED:
            for victim in fault.victims(self._execution):
                yield self._alternative(fault, victim)

    def owed(self) -> Iterator[Alternative]:
        """When all actors are done: the fault that the scenario wants in every execution, if none has struck yet."""
        if self._owed > 0:
            yield from (self._alternative(fault, SERVER) for fault in self._faults if fault.may_come_last)

    async def strike(self, decision: Strike) -> None:
        """Let a fault strike; the actors that it moves run when this returns."""
        fault = FAULTS[decision.fault]
        hit = await fault.strike(decision.actor, self._execution, self._striker)
        if not fault.unasked:
            self._left -= 1
            self._owed -= 1
            if decision.fault not in self._survives.get(decision.actor, ()):
                self.struck.update(hit)

    def _alternative(self, fault: Fault, victim: str) -> Alternative:
        action = Action(ActionKind.FAULT, fault.told(victim, self._execution))
        return Alternative(Strike(fault.name, victim), action)


_UNASKED = tuple(fault for fault in FAULTS.values() if fault.unasked)
