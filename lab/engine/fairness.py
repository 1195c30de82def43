"""Lets nobody sleep and look again for ever while somebody else could go on.

Code that polls ends only when another actor does something. A schedule that never lets that one go on has no end, and
says nothing of the code: no operating system schedules like that. So whoever has slept often enough since another
one's last step lets that one go first, as in fair stateless model checking (Musuvathi and Qadeer, PLDI 2008), where a
sleep is what tells a loop that waits from one that works. How often is a matter of choice: a lease may have to run out
meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from lab.engine.gate import Actor
from lab.model.trace import ActionKind

__all__ = ["SLEEPS", "Fairness"]

SLEEPS = 100
"""How often an actor may sleep between two steps of another one that could go on."""


class Fairness:
    """Of one execution. Root actors are known by their names."""

    def __init__(self) -> None:
        self._slept = Counter[str]()
        self._before: dict[str, Mapping[str, int]] = {}
        """Root actor -> how often each had slept when it took its last step."""
        self.held_back: dict[str, None] = {}
        """Those that had to let another one go first, in the order in which that came about."""

    def steps(self, actor: Actor, kind: ActionKind) -> None:
        """An actor takes a step."""
        name = actor.root.name
        if kind is ActionKind.SLEEP:
            self._slept[name] += 1
        if self._slept:
            self._before[name] = dict(self._slept)

    def fair(self, can: list[Actor]) -> list[Actor]:
        """Those of the actors that can go on that may: never none, as the one that waits longest may."""
        if not self._slept:
            return can
        others = {each.root.name for each in can}
        waiting = {name for name in others if self._is_ahead(name, others)}
        self.held_back |= dict.fromkeys(sorted(waiting))
        return [each for each in can if each.root.name not in waiting]

    def _is_ahead(self, name: str, others: set[str]) -> bool:
        slept = self._slept[name]
        return slept >= SLEEPS and any(
            slept - self._before.get(other, {}).get(name, 0) >= SLEEPS for other in others - {name}
        )
