"""Root actors with their tasks: whether they wait for each other in the process, where PostgreSQL does not see it.

A request of a web framework is several tasks that wait for each other all the time. That is nobody else's business. It
matters where a task of one root actor waits for what another root actor gives: then steps depend on each other in ways
that no footprint shows. So it is observed whose step released a waiter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lab.engine.fairness import Fairness
from lab.engine.gate import Actor, State
from lab.engine.turn import Turn
from lab.model.trace import ActionKind

__all__ = ["Families"]

PASSES = 10
"""How often an actor may sleep for no time, from one step to the next, before others get a chance."""


class Families:
    """Those of one execution. `actors` is its own mapping, which grows; `turn` gives the step that is under way."""

    def __init__(self, actors: Mapping[str, Actor], turn: Callable[[], Turn | None]) -> None:
        self._actors, self._turn = actors, turn
        self.all_points = False
        """A sleep for no time is a decision wherever it is."""
        self.fairness = Fairness()
        self._crossed = False
        """An actor waited for what another root actor then did."""
        self.undecided = False
        """One of them did so after its first step. Who waits before, and in which order, is who begins, and that is
        decided or named elsewhere."""

    def goes_on(self, actor: Actor) -> None:
        """An actor moves. If it was stalled, notice whose step brought what it waited for."""
        if actor.state is not State.STALLED or self.undecided:
            return
        turn = self._turn()
        if turn is not None and turn.actor.root is not actor.root:
            self._crossed = True
            self.undecided = actor.root.action.kind is not ActionKind.START

    @property
    def wait_for_each_other(self) -> bool:
        """Whether somebody waits, or waited, in the process for what another root actor has to do."""
        return self._crossed or bool(self._stalled())

    def may_pass(self, actor: Actor) -> bool:
        """Whether an actor that sleeps for no time may go on at once, since nobody waits for its turn to end.

        Not for ever: it may look again and again for what another one is to do.
        """
        if self.all_points or self._crossed or actor.passed >= PASSES:
            return False
        return self._stalled() <= {actor.root}

    def _stalled(self) -> set[Actor]:
        """Root actors that cannot go on by themselves: all that is left of their tasks waits in the process."""
        stalled = {actor.root for actor in self._actors.values() if actor.state is State.STALLED}
        if not stalled:
            return stalled
        return stalled - {a.root for a in self._actors.values() if a.state not in (State.STALLED, State.DONE)}
