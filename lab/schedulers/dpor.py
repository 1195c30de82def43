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

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lab.analysis.dependence import EVERYTHING, Move, dependent, scanned_tables
from lab.analysis.happens_before import HappensBefore
from lab.analysis.move_text import move_of, move_values
from lab.errors import Divergence
from lab.model.choices import Choices
from lab.model.decision import Decision, Pause, Strike
from lab.model.decision_text import decision_of, decision_text
from lab.model.trace import ActionKind, Trace
from lab.schedulers.base import Scheduler
from lab.schedulers.course import Course, Shared

__all__ = ["Dpor"]


@dataclass(slots=True)
class _Node:
    """A decision on the path that is being explored."""

    choices: tuple[Decision, ...]
    """() where they are not known yet."""
    chosen: Decision
    sleep: dict[Decision, Move]
    """Actors whose next step leads only to orders that were explored already -> that step."""
    todo: list[Decision]
    done: dict[Decision, Move] = field(default_factory=dict)

    @property
    def untried(self) -> list[Decision]:
        """What of `todo` is left."""
        return [each for each in self.todo if each not in self.done and each not in self.sleep]


class Dpor(Scheduler, Shared):
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
        self._moves: tuple[Move, ...] = ()
        """Of the last execution, whose steps the path has decided."""
        self._root = 0
        """How many decisions of the path belong to another search, which knows what is left to try there."""

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
        node.choices = node.choices or choices.decisions
        if choices.decisions != node.choices or node.chosen not in node.choices:
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
        self._moves = order.moves
        self._scanned |= scanned_tables(order.moves)
        for node, move in zip(self._path, order.moves, strict=True):
            node.done[node.chosen] = move
        for earlier, later in order.races:
            self._try_reversed(self._path[earlier], order, earlier, later)

    def courses(self, execution: int) -> Iterator[Course]:
        """What is left to try at the decisions of the path, the last one first. What it leads to comes in between."""
        if self._state != "ended" or self._believed != (self._stalls, self._scanned):
            return
        decisions = [decision_text(node.chosen) for node in self._path]
        for depth in range(len(self._path) - 1, self._root - 1, -1):
            node = self._path[depth]
            done = dict(node.done)
            for each in node.untried:
                way = [*decisions[:depth], decision_text(each)]
                yield Course(repr(way), execution, partial(self._plan, way, node.sleep, dict(done)))
                done[each] = self._expected(each, depth)

    def _plan(self, way: list[str], sleep: dict[Decision, Move], done: dict[Decision, Move]) -> dict[str, Any]:
        known = [[[decision_text(each), move_values(move)] for each, move in moves.items()] for moves in (sleep, done)]
        stalls, scanned = self._believed
        return {"way": way, "sleep": known[0], "done": known[1], "stalls": stalls, "scanned": sorted(scanned)}

    def _expected(self, decision: Decision, depth: int) -> Move:
        """What it will have been when it was tried: what its actor did later in the last execution, as far as known."""
        if isinstance(decision, Strike):
            return Move("", ActionKind.FAULT, EVERYTHING)
        later = self._moves[depth + 1 :]
        move = next((each for each in later if each.actor == decision.actor), None)
        if move is None:
            return Move(decision.actor, ActionKind.STATEMENT, EVERYTHING)
        return replace(move, waited=True) if isinstance(decision, Pause) else move

    def follower(self, course: Course) -> Scheduler:
        """A search that goes the same way up to its last decision, with the same actors asleep there."""
        plan = course.plan
        other = Dpor(self._seed)
        sleep, done = ({decision_of(each): move_of(move) for each, move in plan[name]} for name in ("sleep", "done"))
        for text in plan["way"]:
            other._path.append(_Node((), decision_of(text), {}, []))
        other._path[-1].sleep, other._path[-1].done = sleep, done
        other._stalls, other._scanned = other._believed = plan["stalls"], frozenset(plan["scanned"])
        other._state, other._given = "begun", len(other._path)
        other._root = other._given
        return other

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
            node.todo = node.untried
            if node.todo:
                node.chosen = node.todo.pop(0)
                return True
            self._path.pop()
        return False
