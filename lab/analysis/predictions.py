"""From the footprints of serial runs: which transactions could form a dangerous cycle, and the schedule that does it.

A cycle of two transactions needs two places at which they meet, with the other one in between: one that `first`
reaches before `other` gets there, one that `other` reaches before `first` does. So it is enough to stop `first` between
two such steps and to let `other` run. A prediction is only tried; the execution shows whether it comes true.

The shapes are those of Berenson et al., "A critique of ANSI SQL isolation levels" (1995): lost update (P4), write skew
(A5B), read skew (A5A), and rings of locks; with a third transaction between, the read-only anomaly of Fekete, O'Neil
and O'Neil (2004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import chain, combinations, islice, permutations

from lab.analysis.dependence import Move
from lab.model.footprint import Access
from lab.model.trace import ActionKind, Trace

__all__ = ["Prediction", "Shape", "predictions", "programs_of"]

_WORK = frozenset({ActionKind.START, ActionKind.STATEMENT, ActionKind.FETCH, ActionKind.POINT})
_ENDS = frozenset({ActionKind.COMMIT, ActionKind.ROLLBACK})
LONGEST_RING = 4
MOST = 40
"""Predictions of one scenario; further ones are left to the other policies."""
LONGEST_PROGRAM = 100
"""Steps of an actor that are looked at: beyond them lies a loop without an end."""
MOST_ACTORS = 16
"""Actors that are looked at. Counted and not timed, so that a scenario has the same predictions on every machine."""


class Shape(StrEnum):
    """What a schedule is expected to show, the most dangerous first."""

    LOST_UPDATE = "lost update"
    LOCK_RING = "lock ring"
    WRITE_SKEW = "write skew"
    READ_SKEW = "read skew"
    PIVOT = "pivot between two"
    GROUND_MOVES = "what it waits for changes"
    OVERLAP = "overlap"
    SPLIT = "work split into transactions"
    LATE_COMMIT = "committed after others have looked"


Plan = tuple[tuple[str, int | None], ...]
"""Actors in the order in which they run, each until it has taken so many steps; None: as far as it gets."""
_CYCLES = {"ww": Shape.LOST_UPDATE, "wr": Shape.WRITE_SKEW, "rw": Shape.READ_SKEW, "?": Shape.OVERLAP}
"""How `first` meets `other` again, after it has read what the other then wrote -> the shape of that cycle."""
_RANK = {shape: rank for rank, shape in enumerate(Shape)}


@dataclass(frozen=True, slots=True)
class Prediction:
    """A cycle that may be possible, and how to reach it."""

    shape: Shape
    plan: Plan


def programs_of(trace: Trace) -> dict[str, tuple[Move, ...]]:
    """What each actor did with its tasks, step by step. A wake-up is part of the step that began the wait."""
    programs: dict[str, tuple[Move, ...]] = dict.fromkeys(trace.actors, ())
    for step in trace:
        move = Move.of_step(step)
        if move.root in programs and not step.woken:
            programs[move.root] += (move,)
    return programs


def predictions(programs: Mapping[str, Sequence[Move]]) -> tuple[Prediction, ...]:
    """The predictions for these programs: the first of each shape, the most dangerous first, then the second of each.

    Each plan occurs once. No more is worked out than is taken.
    """
    search = _Search(programs)
    seen: set[Plan] = set()
    shapes = [(shape, search.plans(shape)) for shape in Shape]
    found: list[Prediction] = []
    while shapes and len(found) < MOST:
        for shape, plans in list(shapes):
            plan = next((plan for plan in plans if plan not in seen), None)
            if plan is None:
                shapes.remove((shape, plans))
            else:
                seen.add(plan)
                found.append(Prediction(shape, plan))
    return tuple(found[:MOST])


class _Search:
    """How the steps of some programs meet. Each answer is worked out when it is first asked for, and kept."""

    def __init__(self, programs: Mapping[str, Sequence[Move]]) -> None:
        some = islice(programs.items(), MOST_ACTORS)
        self._programs = {name: tuple(program[:LONGEST_PROGRAM]) for name, program in some}
        self._looks: dict[Shape, Callable[[str, str], Iterator[Plan]]] = {
            Shape.PIVOT: self._pivots,
            Shape.OVERLAP: self._overlaps,
            Shape.SPLIT: self._split,
            Shape.LATE_COMMIT: self._late_commits,
        }
        numbers: dict[tuple[bool, bool, tuple[Access, ...]], int] = {}
        self._distinct: list[Move] = []
        """A step for each number: steps of one number meet others in the same way."""
        self._numbered: dict[str, tuple[int, ...]] = {}
        for name, program in self._programs.items():
            own = []
            for move in program:
                key = move.kind in _WORK, move.footprint.everything, move.footprint.accesses
                if key not in numbers:
                    numbers[key] = len(numbers)
                    self._distinct.append(move)
                own.append(numbers[key])
            self._numbered[name] = tuple(own)
        for method in ("_meet", "_met", "_late", "_cycles", "_splits", "_clashes"):
            setattr(self, method, cache(getattr(self, method)))  # for the time of one search

    def plans(self, shape: Shape) -> Iterator[Plan]:
        """The plans of a shape that no more dangerous shape has, too."""
        if shape is Shape.LOCK_RING:
            return (plan for names in self._rings() for plan in self._ring(names))
        pairs = permutations(self._programs, 2)
        if look := self._looks.get(shape):
            return (plan for first, other in pairs for plan in look(first, other))
        return (
            _stopped(first, stop, other)
            for first, other in pairs
            for stop, found in self._cycles(first, other).items()
            if found is shape
        )

    # ------------------------------------------------------------------ shapes

    def _thirds(self, first: str, other: str) -> Iterator[str]:
        return (name for name in self._programs if name not in (first, other))

    def _overlaps(self, first: str, other: str) -> Iterator[Plan]:
        """Cycles that are not understood, and those with a third that may run in between."""
        for stop, shape in self._cycles(first, other).items():
            if shape is Shape.OVERLAP:
                yield _stopped(first, stop, other)
            if shape is not Shape.GROUND_MOVES:
                for third in self._thirds(first, other):
                    if not self._is_pivot(first, stop - 1, other, third):
                        yield _stopped(first, stop, other, third)

    def _pivots(self, first: str, other: str) -> Iterator[Plan]:
        for third in self._thirds(first, other):
            for number in range(len(self._programs[first])):
                if self._is_pivot(first, number, other, third):
                    yield _stopped(first, number + 1, other, third)

    def _is_pivot(self, first: str, number: int, other: str, third: str) -> bool:
        """Whether a step of `first` reads what `other` writes, before it writes what `third` reads."""
        return "rw" in self._met(first, other)[number] and "wr" in self._late(first, third)[number]

    def _split(self, first: str, other: str) -> Iterator[Plan]:
        cycles = self._cycles(first, other)
        return (_stopped(first, stop, other) for stop in self._splits(first, other) if stop not in cycles)

    def _late_commits(self, first: str, other: str) -> Iterator[Plan]:
        commit = _end_of_transaction(self._programs[first], 0)
        for third in self._thirds(first, other):
            for look in self._splits(third, first):
                yield ((first, commit), (other, None), (third, look), (first, None), (third, None))

    def _rings(self) -> Iterator[tuple[str, ...]]:
        for size in range(2, min(len(self._programs), LONGEST_RING) + 1):
            for names in combinations(self._programs, size):
                yield from ((names[0], *rest) for rest in permutations(names[1:]))

    def _ring(self, names: tuple[str, ...]) -> Iterator[Plan]:
        """Each holds what the one before it wants next: everybody takes a lock, then nobody gets the other's."""
        pairs = [self._clashes(*pair) for pair in zip(names, (*names[1:], names[0]), strict=True)]
        if not all(pairs):
            return
        for first_held in sorted({held for _, held in pairs[-1]}):
            held = [first_held]
            for number, name in enumerate(names):
                end = _end_of_transaction(self._programs[name], held[number])
                last = number == len(names) - 1
                follows = [h for w, h in pairs[number] if held[number] < w < end and (not last or h == first_held)]
                if not follows:
                    break
                held.append(min(follows))
            else:
                stops = [(name, step + 1) for name, step in zip(names, held, strict=False)]
                yield (*stops, *((name, None) for name in names))
                return

    # ------------------------------------------------------------------ how two programs meet

    def _cycles(self, first: str, other: str) -> dict[int, Shape]:
        """What comes of running `other` after some steps of `first`: number of steps -> the most dangerous shape."""
        found = {}
        met, late = self._met(first, other), self._late(first, other)
        for number, seen in enumerate(met):
            if "ll" in seen:
                shapes = [Shape.GROUND_MOVES] if "ww" in late[number] else []
            elif "rw" in seen or "?" in seen:
                shapes = [shape for kind, shape in _CYCLES.items() if kind in late[number]]
            else:
                continue
            if shapes:
                found[number + 1] = min(shapes, key=_RANK.__getitem__)
        return found

    def _splits(self, first: str, other: str) -> tuple[int, ...]:
        """Ends of transactions after which `first` has more to do, where `other` meets what came before and follows."""
        meets = [bool(kinds) for kinds in self._met(first, other)]
        return tuple(
            number + 1
            for number, move in enumerate(self._programs[first])
            if move.kind in _ENDS and any(meets[:number]) and any(meets[number + 1 :])
        )

    def _met(self, first: str, other: str) -> tuple[frozenset[str], ...]:
        """For each step of `first`: how it meets any step of `other`."""
        theirs = set(self._numbered[other])
        return tuple(
            frozenset(chain.from_iterable(self._meet(mine, each) for each in theirs)) for mine in self._numbered[first]
        )

    def _late(self, first: str, other: str) -> tuple[frozenset[str], ...]:
        """For each step of `first`: how what follows it in its transaction meets any step of `other`."""
        found: list[frozenset[str]] = []
        late: frozenset[str] = frozenset()
        for move, kinds in zip(reversed(self._programs[first]), reversed(self._met(first, other)), strict=True):
            if move.kind in _ENDS:
                late = frozenset()
            found.append(late)
            late |= kinds
        return tuple(reversed(found))

    def _clashes(self, first: str, other: str) -> tuple[tuple[int, int], ...]:
        """Pairs of steps of the two whose locks clash."""
        theirs = tuple(enumerate(self._numbered[other]))
        return tuple(
            (wanted, held)
            for wanted, mine in enumerate(self._numbered[first])
            for held, each in theirs
            if "ll" in self._meet(mine, each)
        )

    def _meet(self, mine: int, theirs: int) -> frozenset[str]:
        return frozenset(_meeting(self._distinct[mine], self._distinct[theirs]))


def _stopped(first: str, stop: int, *others: str) -> Plan:
    """`first` stops after some steps, the others run, and it goes on."""
    return ((first, stop), *((other, None) for other in others), (first, None))


def _end_of_transaction(program: Sequence[Move], start: int) -> int:
    return next((n for n in range(start, len(program)) if program[n].kind in _ENDS), len(program))


def _meeting(mine: Move, theirs: Move) -> set[str]:
    """How two steps meet: who reads or writes what the other does, locks that clash (`ll`), or nobody knows (`?`)."""
    if mine.kind not in _WORK or theirs.kind not in _WORK:
        return set()
    if mine.footprint.everything or theirs.footprint.everything:
        return {"?"}
    kinds = set()
    for one in mine.footprint.accesses:
        for other in theirs.footprint.accesses:
            if one.rows.meet(other.rows):
                kinds |= _kinds(one, other)
    return kinds


def _kinds(one: Access, other: Access) -> set[str]:
    kinds = set()
    if one.writes and other.writes:
        kinds.add("ww")
    if one.reads and not one.writes and other.writes:
        kinds.add("rw")
    if one.writes and other.reads and not other.writes:
        kinds.add("wr")
    if one.lock.clashes(other.lock):
        kinds.add("ll")
    return kinds
