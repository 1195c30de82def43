"""Source-DPOR with sleep sets: one execution for each order of dependent steps, as far as that can be known beforehand.

Abdulla, Aronsson, Jonsson, Sagonas: "Optimal Dynamic Partial Order Reduction" (POPL 2014), algorithm 1; sleep sets are
Godefroid's (1996). Deviations: races are looked for when an execution has ended; where no actor that could start the
reversed order was runnable, all runnable ones are tried; an execution that meets only sleeping actors is run to its
end, since the actors are real, and is ignored. A wake-up is a step like any other, and comes after the release that
enabled it. A fault or a breakpoint is tried wherever it can be; the step that it pauses is its actor's. A fault depends
on everything, as does a step of which nothing is known, and as all steps do once an actor waited in the process: what
actors share there is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.analysis.dependence import Move, dependent, scanned_tables
from lab.analysis.happens_before import HappensBefore
from lab.errors import Divergence
from lab.model.choices import Choices
from lab.model.decision import Decision
from lab.model.decision_text import decision_text
from lab.model.trace import Trace
from lab.schedulers.base import Scheduler

__all__ = ["Dpor"]


@dataclass(slots=True)
class _Node:
    """A decision on the path that is being explored."""

    choices: tuple[Decision, ...]
    chosen: Decision
    sleep: dict[Decision, Move]
    """Actors whose next step leads only to orders that were explored already -> that step."""
    todo: list[Decision]
    done: dict[Decision, Move] = field(default_factory=dict)


class Dpor(Scheduler):
    """Explores every trace at least once, and says when there is no other."""

    name = "dpor"
    summary = "each order of dependent steps once, until every trace was run"
    by_chance = False

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._path: list[_Node] = []
        self._step = 0
        self._given = 0
        """How many decisions of the path this execution was given; those after them are new."""
        self._asleep: int | None = None
        """The step at which every runnable actor was asleep."""
        self._state = "new"
        self._stalls = False
        """Actors wait for each other in the process, so what is not seen may matter: all steps count as dependent."""
        self._scanned: frozenset[str] = frozenset()
        """Tables on which the order of writes shows."""
        self._believed: tuple[bool, frozenset[str]] = False, frozenset()
        """What of these two the search so far rests on."""

    @property
    def exact(self) -> bool:
        """It rests on nothing else."""
        return True

    @property
    def complete(self) -> bool:
        """Whether every trace was run."""
        return self._state == "over"

    def begin(self, execution: int) -> bool:
        """Go back to the last decision with an alternative left to try; over when there is no such decision.

        An execution that was broken off comes again.
        """
        if self._state == "begun":
            del self._path[self._given :]
        if self._believed != (self._stalls, self._scanned):
            # More steps depend on each other than was assumed, so orders may have been left out: begin again.
            self._believed = self._stalls, self._scanned
            self._path.clear()
        elif self._state == "ended" and not self._go_back():
            self._state = "over"
        if self._state == "over":
            return False
        self._state = "begun"
        self._step, self._given, self._asleep = 0, len(self._path), None
        return True

    def choose(self, choices: Choices) -> int:
        """The decision of the path as far as it goes, then the first actor that is awake. Raises `Divergence`."""
        step, self._step = self._step, self._step + 1
        self._stalls |= choices.stalled
        if self._asleep is not None:
            return 0
        if step == len(self._path):
            sleep = self._still_asleep(choices)
            awake = [each for each in choices.decisions if each not in sleep]
            if not awake:
                self._asleep = step
                return 0
            extra = [each.decision for each in choices.alternatives if each.is_extra and each.decision in awake]
            self._path.append(_Node(choices.decisions, awake[0], sleep, extra))
        node = self._path[step]
        if choices.decisions != node.choices:
            met, expected = (", ".join(map(decision_text, each)) for each in (choices.decisions, node.choices))
            raise Divergence(
                f"diverged at step {step + 1}: the same decisions led to other choices, {met} "
                f"instead of {expected}; the scenario depends on something that no schedule controls"
            )
        return node.choices.index(node.chosen)

    def end(self, trace: Trace) -> None:
        """Look for races in what was new, and note where another order has to be tried."""
        self._state = "ended"
        steps = trace.steps[: self._asleep]
        order = HappensBefore(steps, self._related)
        self._scanned |= scanned_tables(order.moves)
        for node, move in zip(self._path, order.moves, strict=True):
            node.done[node.chosen] = move
        for earlier, later in order.races:
            self._try_reversed(self._path[earlier], order, earlier, later)

    def _related(self, one: Move, other: Move) -> bool:
        stalls, scanned = self._believed
        return stalls or dependent(one, other, scanned)

    def _still_asleep(self, choices: Choices) -> dict[Decision, Move]:
        """Of the actors that slept or were tried before the last step, those whose steps do not depend on it."""
        if not self._path or choices.before is None:
            return {}
        parent, step = self._path[-1], Move.of_step(choices.before)
        asleep = {**parent.sleep, **parent.done}
        return {
            each: move
            for each, move in asleep.items()
            if each != parent.chosen and each in choices.decisions and not self._related(move, step)
        }

    def _try_reversed(self, node: _Node, order: HappensBefore, earlier: int, later: int) -> None:
        first = [mover for mover in order.initials(earlier, later) if mover in node.choices]
        known = {*node.todo, *node.done, *node.sleep}
        if not first:
            node.todo += [each for each in node.choices if each not in known]
        elif known.isdisjoint(first):
            mover = order.movers[later]
            node.todo.append(mover if mover in first else first[0])

    def _go_back(self) -> bool:
        while self._path:
            node = self._path[-1]
            node.todo = [each for each in node.todo if each not in node.done and each not in node.sleep]
            if node.todo:
                node.chosen = node.todo.pop(0)
                return True
            self._path.pop()
        return False
