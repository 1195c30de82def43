"""How many steps each actor takes, estimated by one serial run: what URW and PCT need to know beforehand.

Both papers estimate the number of events by running the program. Here execution 0 of such a scheduler is that run: the
actors one after the other, in the order of declaration. Learning from every execution would estimate better, but then
an execution would depend on those before it, and parts of a hunt could not run anywhere. So a part of a hunt that
begins at a later execution runs execution 0 first, uncounted.

The estimate may be short: a step that waits for a lock is taken twice, a retry takes steps of its own.
"""

from __future__ import annotations

from collections import Counter

from lab.model.trace import Trace

__all__ = ["Lengths"]


class Lengths:
    """The steps of each actor in the serial run; `known` once there was one."""

    def __init__(self) -> None:
        self.known = False
        self._steps: Counter[str] = Counter()

    def learn(self, trace: Trace) -> None:
        """Take the lengths from a serial run."""
        self.known = True
        self._steps = Counter(step.actor for step in trace if not step.is_fault)

    @property
    def total(self) -> int:
        """Steps of all actors together."""
        return self._steps.total()

    def left(self, actor: str, taken: Counter[str]) -> int:
        """Steps that an actor and its tasks have before them when so many were `taken`; 1 at least.

        A task that was not started yet takes no steps of its own: until then they are its parent's.
        """
        family = f"{actor}/"
        mine = max(1, self._steps[actor] - taken[actor])
        return mine + sum(steps for name, steps in self._steps.items() if name.startswith(family) and name not in taken)
