"""From the footprints of serial runs: which transactions could form a dangerous cycle, and the schedule that does it.

A cycle of two transactions needs two places at which they meet, with the other one in between: one that `first`
reaches before `other` gets there, one that `other` reaches before `first` does. So it is enough to stop `first` between
two such steps and to let `other` run. What is predicted is only tried; whether it comes true, the execution tells.

The shapes are those of Berenson et al., "A critique of ANSI SQL isolation levels" (1995): lost update (P4), write skew
(A5B), read skew (A5A), and rings of locks; with a third transaction between, the read-only anomaly of Fekete, O'Neil
and O'Neil (2004).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, permutations

from lab.analysis.dependence import Move
from lab.model.footprint import Access
from lab.model.trace import ActionKind, Trace

__all__ = ["Prediction", "Shape", "predictions", "programs_of"]

_WORK = frozenset({ActionKind.STATEMENT, ActionKind.FETCH, ActionKind.POINT})
_ENDS = frozenset({ActionKind.COMMIT, ActionKind.ROLLBACK})
LONGEST_RING = 4
MOST = 40
"""Predictions of one scenario; further ones are left to the other policies."""


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


_CYCLES = {"ww": Shape.LOST_UPDATE, "wr": Shape.WRITE_SKEW, "rw": Shape.READ_SKEW, "?": Shape.OVERLAP}
"""How `first` meets `other` again, after it has read what the other then wrote -> the shape of that cycle."""
_RANK = {shape: rank for rank, shape in enumerate(Shape)}


@dataclass(frozen=True, slots=True)
class Prediction:
    """A cycle that may be possible, and how to reach it.

    `plan`: actors in the order in which they run, each until it has taken so many steps; None: as far as it gets.
    """

    shape: Shape
    plan: tuple[tuple[str, int | None], ...]


def programs_of(trace: Trace) -> dict[str, tuple[Move, ...]]:
    """What each actor did, step by step. A wake-up is part of the step that began the wait."""
    programs: dict[str, tuple[Move, ...]] = dict.fromkeys(trace.actors, ())
    for step in trace:
        if step.actor in programs and not step.woken:
            programs[step.actor] += (Move.of_step(step),)
    return programs


def predictions(programs: Mapping[str, Sequence[Move]]) -> tuple[Prediction, ...]:
    """What the programs let expect: the first of each shape, the most dangerous first, then the second of each.

    Each plan occurs once.
    """
    found: dict[tuple[tuple[str, int | None], ...], Prediction] = {}
    for prediction in sorted(_all(programs), key=lambda each: _RANK[each.shape]):
        found.setdefault(prediction.plan, prediction)
    number: Counter[Shape] = Counter()
    turns = []
    for prediction in found.values():
        turns.append((number[prediction.shape], _RANK[prediction.shape], prediction))
        number[prediction.shape] += 1
    return tuple(prediction for *_, prediction in sorted(turns, key=lambda turn: turn[:2]))[:MOST]


def _all(programs: Mapping[str, Sequence[Move]]) -> Iterator[Prediction]:
    for first, other in permutations(programs, 2):
        yield from _stopped(programs, first, other)
    for size in range(2, min(len(programs), LONGEST_RING) + 1):
        for names in combinations(programs, size):
            for rest in permutations(names[1:]):
                yield from _ring(programs, (names[0], *rest))


def _stopped(programs: Mapping[str, Sequence[Move]], first: str, other: str) -> Iterator[Prediction]:
    """Cycles through `first`, stopped after some steps, with `other`, and a third that may run in between, too."""
    others = [name for name in programs if name not in (first, other)]
    for shape, stop in _cycles(programs[first], programs[other]):
        yield Prediction(shape, ((first, stop), (other, None), (first, None)))
        if shape is not Shape.GROUND_MOVES:
            for third in others:
                yield Prediction(Shape.OVERLAP, ((first, stop), (other, None), (third, None), (first, None)))
    for third in others:
        for stop in _pivots(programs[first], programs[other], programs[third]):
            yield Prediction(Shape.PIVOT, ((first, stop), (other, None), (third, None), (first, None)))
    for stop in _splits(programs[first], programs[other]):
        yield Prediction(Shape.SPLIT, ((first, stop), (other, None), (first, None)))
    for third in others:
        for look in _splits(programs[third], programs[first]):
            commit = _end_of_transaction(programs[first], 0)
            plan = ((first, commit), (other, None), (third, look), (first, None), (third, None))
            yield Prediction(Shape.LATE_COMMIT, plan)


def _cycles(first: Sequence[Move], other: Sequence[Move]) -> Iterator[tuple[Shape, int]]:
    """Shapes that come of running `other` after some steps of `first`: (shape, number of steps)."""
    for before, early in enumerate(first):
        seen = [_meeting(early, theirs) for theirs in other]
        late = [
            set().union(*(_meeting(move, theirs) for theirs in other))
            for move in first[before + 1 : _end_of_transaction(first, before)]
        ]
        if any("ll" in kinds for kinds in seen):
            if any("ww" in kinds for kinds in late):
                yield Shape.GROUND_MOVES, before + 1
        elif any("rw" in kinds or "?" in kinds for kinds in seen):
            for kinds in late:
                yield from ((shape, before + 1) for kind, shape in _CYCLES.items() if kind in kinds)


def _pivots(first: Sequence[Move], other: Sequence[Move], third: Sequence[Move]) -> Iterator[int]:
    """Steps of `first` that read what `other` writes, before it writes what `third` reads."""
    for before, early in enumerate(first):
        late = first[before + 1 : _end_of_transaction(first, before)]
        reads = any("rw" in _meeting(early, theirs) for theirs in other)
        if reads and any("wr" in _meeting(move, theirs) for move in late for theirs in third):
            yield before + 1


def _splits(first: Sequence[Move], other: Sequence[Move]) -> Iterator[int]:
    """Ends of transactions after which `first` has more to do, where `other` meets what came before and follows."""
    meets = [any(_meeting(move, theirs) for theirs in other) for move in first]
    for number, move in enumerate(first):
        if move.kind in _ENDS and any(meets[:number]) and any(meets[number + 1 :]):
            yield number + 1


def _ring(programs: Mapping[str, Sequence[Move]], names: tuple[str, ...]) -> Iterator[Prediction]:
    """Each holds what the one before it wants next: everybody takes a lock, then nobody gets the other's."""
    pairs = [
        [
            (wanted, held)
            for wanted, mine in enumerate(programs[name])
            for held, theirs in enumerate(programs[follower])
            if "ll" in _meeting(mine, theirs)
        ]
        for name, follower in zip(names, (*names[1:], names[0]), strict=True)
    ]
    for first_held in sorted({held for _, held in pairs[-1]}):
        held = [first_held]
        for number, name in enumerate(names):
            end = _end_of_transaction(programs[name], held[number])
            last = number == len(names) - 1
            follows = [h for w, h in pairs[number] if held[number] < w < end and (not last or h == first_held)]
            if not follows:
                break
            held.append(min(follows))
        else:
            stops = [(name, step + 1) for name, step in zip(names, held, strict=False)]
            yield Prediction(Shape.LOCK_RING, (*stops, *((name, None) for name in names)))
            return


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
