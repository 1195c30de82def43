"""Which steps of a trace had to come before which: the partial order of which the trace is one linear form.

A step comes before a later one if they depend on each other, or if it made the other's actor runnable; and so on
transitively (Mazurkiewicz 1987; Lamport 1978). Two traces with the same order differ in nothing that anybody can see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from lab.analysis.dependence import Move, dependent, scanned_tables
from lab.model.decision import Go, Strike
from lab.model.trace import Step

__all__ = ["HappensBefore"]


class HappensBefore:
    """The partial order of some steps, numbered from 0; quadratic in their number."""

    def __init__(self, steps: Sequence[Step], related: Callable[[Move, Move], bool] | None = None) -> None:
        self.moves = tuple(map(Move.of_step, steps))
        if related is None:
            related = partial(dependent, scanned=scanned_tables(self.moves))
        self.movers = tuple(step.mover for step in steps)
        """What made each step: two faults are as different as two actors."""
        self._past: list[int] = []
        """Step -> its past, as a set of bits."""
        self.races: list[tuple[int, int]] = []
        """Pairs of adjacent dependent steps of two actors that might come in the other order."""
        kinds: dict[Move, int] = {}
        kind = [kinds.setdefault(move, len(kinds)) for move in self.moves]
        known: dict[tuple[int, int], bool] = {}
        """In a long trace most moves are like others before."""
        for later, move in enumerate(self.moves):
            past = 0
            if (enabler := _enabler(steps, self.movers, later)) is not None:
                past = self._past[enabler] | 1 << enabler
            for earlier in range(later - 1, -1, -1):
                if past >> earlier & 1:
                    continue
                pair = kind[earlier], kind[later]
                if pair not in known:
                    known[pair] = related(self.moves[earlier], move)
                if not known[pair]:
                    continue
                past |= self._past[earlier] | 1 << earlier
                if self.movers[earlier] != self.movers[later]:
                    self.races.append((earlier, later))
            self._past.append(past)

    def before(self, earlier: int, later: int) -> bool:
        """Whether a step had to come before another."""
        return bool(self._past[later] >> earlier & 1)

    def initials(self, earlier: int, later: int) -> Iterator[Go | Strike]:
        """Who could go first instead of `earlier`, so that `later` then comes before it."""
        rest = [step for step in range(earlier + 1, later) if not self.before(earlier, step)]
        rest.append(later)
        seen: set[Go | Strike] = set()
        for position, step in enumerate(rest):
            if self.movers[step] not in seen:
                seen.add(self.movers[step])
                if not any(self.before(other, step) for other in rest[:position]):
                    yield self.movers[step]

    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Foata's normal form: the steps in layers, each as early as its past allows (Cartier and Foata 1969)."""
        level: list[int] = []
        for step in range(len(self.moves)):
            level.append(1 + max((level[each] for each in range(step) if self.before(each, step)), default=-1))
        layers: list[list[int]] = [[] for _ in range(max(level, default=-1) + 1)]
        for step, layer in enumerate(level):
            layers[layer].append(step)
        return tuple(tuple(sorted(layer, key=lambda step: self.moves[step].actor)) for layer in layers)


def _enabler(steps: Sequence[Step], movers: Sequence[Go | Strike], number: int) -> int | None:
    """The step after which the mover of a step could be chosen again."""
    mover = movers[number]
    for earlier in range(number - 1, -1, -1):
        if mover not in steps[earlier].alternatives:
            return earlier
        if movers[earlier] == mover:
            return None
    return None
