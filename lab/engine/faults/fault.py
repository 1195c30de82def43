"""What a fault is: something besides the other actors that may strike an actor, or the server, between two steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from lab.engine.execution import Execution
from lab.engine.gate import Actor, State
from lab.engine.ports import Striker
from lab.model.decision import SERVER
from lab.model.trace import ActionKind

__all__ = ["Fault", "about_to", "let_pass"]


class Fault(ABC):
    """One kind of fault. Its own file holds all that is known of it; `FAULTS` lists it."""

    name: str
    """Lower-case letters and `-`; scenarios and tokens name it so."""
    help: str
    """One sentence: what it does, and what does so in production."""
    story: str
    """What a report says that it does, with {} for its victim."""
    of_server: bool = False
    """It strikes the server, and with it every actor, instead of one."""
    needs_own_server: bool = False
    """Nobody else can use the server meanwhile, so it has to be the embedded one, and the scenario's alone."""
    may_come_last: bool = False
    """It means something still when all actors are done."""

    brings: tuple[str, ...] = ()
    """Faults that may strike too wherever this one is asked for."""

    unasked: bool = False
    """It comes of the actors' own code, so it can strike although no scenario asks for it, and as often as it can."""

    def victims(self, execution: Execution) -> Sequence[str]:
        """Whom it can strike now: names of root actors in their order, or `SERVER`."""
        alive = unfinished(execution)
        if self.of_server:
            return [SERVER] if alive else []
        return [actor.name for actor in alive]

    def told(self, victim: str, execution: Execution) -> str:
        """What a report says that it does to this victim."""
        return self.story.format(victim)

    @abstractmethod
    async def strike(self, victim: str, execution: Execution, striker: Striker) -> Collection[str]:
        """Strike one of `victims`. Returns the actors that it hit: what they raise from now on may be its work.

        Those whom it moves run when this returns.
        """


def unfinished(execution: Execution) -> list[Actor]:
    """The root actors that are not done, in their order."""
    return [actor for actor in execution.actors.values() if actor.root is actor and actor.state is not State.DONE]


def about_to(execution: Execution, name: str, kinds: Collection[ActionKind]) -> Actor | None:
    """Of a root actor and its tasks the first that is parked before one of these actions; None if nobody is."""
    family = (actor for actor in execution.actors.values() if actor.root.name == name)
    return next((each for each in family if each.state is State.PARKED and each.action.kind in kinds), None)


def let_pass(execution: Execution, seconds: float) -> None:
    """Let so much time pass on the clocks of actors and server; every timeout that is due until then fires."""
    clock = execution.clock
    until = clock.time.after(seconds)
    while (timer := clock.timers.first()) is not None and timer.due <= until:
        clock.fire(timer)
    clock.move_to(until)
