"""Faults as decisions: which can strike now, and striking one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.engine.execution import Execution
from lab.engine.gate import Actor, State
from lab.engine.ports import Striker
from lab.model.choices import Alternative
from lab.model.faults import SERVER, Fault
from lab.model.trace import Action, ActionKind
from lab.scenario.faults import FaultKind

__all__ = ["Strikes"]


class Strikes:
    """The faults of one execution. `struck` names the actors that one hit: their errors are its work, not theirs."""

    def __init__(
        self, execution: Execution, striker: Striker, kinds: Sequence[str], at_least: int, at_most: int
    ) -> None:
        self._execution = execution
        self._striker = striker
        self._kinds = tuple(FaultKind(kind) for kind in kinds)
        self._owed = at_least
        self._left = at_most
        self.struck: set[str] = set()

    def alternatives(self) -> Iterator[Alternative]:
        """The faults that can strike now, in a fixed order."""
        if not self._left:
            return
        alive = [a for a in self._execution.actors.values() if a.root is a and a.state is not State.DONE]
        for kind in self._kinds:
            for victim in self._victims(kind, alive):
                yield _alternative(kind, victim)

    def owed(self) -> Iterator[Alternative]:
        """When all actors are done: the crash that the scenario wants in every execution, if none has struck yet."""
        if self._owed > 0:
            yield _alternative(FaultKind.CRASH, SERVER)

    def _victims(self, kind: FaultKind, alive: Sequence[Actor]) -> list[str]:
        if kind is FaultKind.CRASH:
            return [SERVER] if alive else []
        if kind is FaultKind.KILL:
            return [actor.name for actor in alive if actor.name in self._execution.serving]
        return [actor.name for actor in alive]

    async def strike(self, name: str) -> None:
        """Strike the fault with this name; the actors that it moves run when this returns."""
        fault = Fault.named(name)
        assert fault is not None, name
        self._left -= 1
        self._owed -= 1
        alive = {actor.name for actor in self._execution.actors.values() if actor.state is not State.DONE}
        if fault.kind is FaultKind.CRASH:
            self.struck |= alive
            self._execution.serving.clear()
            await self._striker.crash()
            return
        self.struck.add(fault.victim)
        actor = self._execution.actors[fault.victim]
        if fault.kind is FaultKind.KILL:
            await self._striker.kill(self._execution.serving.pop(fault.victim).pid)
        elif actor.task is not None:
            actor.task.cancel()


def _alternative(kind: FaultKind, victim: str) -> Alternative:
    return Alternative(str(Fault(kind, victim)), Action(ActionKind.FAULT, f"{kind} {victim}"))
