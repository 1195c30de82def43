"""What a search has seen, and what that says about what it has not seen. Pure: from executions to numbers.

Two executions are the same trace when they differ only in the order of independent steps; see `normal_form`.

How much is unseen is estimated from how often the traces were met: by Good and Turing (Good 1953) the next execution
shows a new one with a chance of about f₁/n, where f₁ traces were met once in n executions; by Chao (1984, the
bias-corrected form of Chao1) there are at least about S + f₁(f₁ - 1) / (2(f₂ + 1)) traces. Both hold for independent
samples only, so executions of other schedulers are not counted for them. What counts as a trace depends on the
footprints; where they are unsure, more traces are counted than there are.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

from lab.analysis.dependence import Move, sees
from lab.analysis.happens_before import HappensBefore
from lab.analysis.normal_form import LONGEST, digest
from lab.model.decision import BREAKPOINT, Go
from lab.model.outcome import ABORT_STATES
from lab.model.trace import ActionKind, Step, Trace

__all__ = ["Coverage", "in_both_orders"]

BEFORE, AFTER = 1, 2
"""The two orders in which a pair may be seen, as bits."""
BOTH = BEFORE | AFTER
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
"""The driver's own errors have no SQLSTATE, for example the one for a lost connection."""
_ENDS = frozenset({ActionKind.COMMIT, ActionKind.ROLLBACK})
_TOUCHING = frozenset({ActionKind.STATEMENT, ActionKind.FETCH, ActionKind.POINT})
"""Actions that may touch unknown data; a point stands for an access to something in the process."""


@dataclass(slots=True)
class Coverage:
    """Counts over executions; `add` makes the counts of two parts of a hunt those of the whole.

    Actors and statements are kept as short digests, since a hunt over workers sends them as JSON.
    """

    sampled: Counter[str] = field(default_factory=Counter)
    """Trace -> how many independent samples showed it."""
    pairs: dict[str, int] = field(default_factory=dict)
    """Statements of two actors on the same rows, one of which writes or locks -> the orders that were seen."""
    snapshots: dict[str, int] = field(default_factory=dict)
    """A statement that takes a snapshot, and another actor's commit that it may see -> the orders that were seen."""
    waits: set[str] = field(default_factory=set)
    """A statement that waited for a lock, and an actor that held it."""
    sqlstates: Counter[str] = field(default_factory=Counter)
    """SQLSTATE -> how many steps ended with it."""
    paused: int = 0
    """Executions in which a breakpoint was set."""
    overlapped: int = 0
    """Executions in which somebody went on, or a fault struck, while another was within a transaction, or in which
    somebody had to wait in the process for another."""
    conflicted: int = 0
    """Executions in which two actors met: a lock wait, a refusal, statements on the same rows; or in which a fault
    struck, or somebody had to wait in the process."""

    def count(self, trace: Trace, *, sampled: bool) -> str:
        """Take in one execution; returns a digest of its normal form. `sampled`: it was an independent sample."""
        head = Trace(trace.steps[:LONGEST], trace.actors)
        order = HappensBefore(head.steps)
        form = digest(trace, order)
        if sampled:
            self.sampled[form] += 1
        met = self._orders(head, order.moves)
        for step in trace:
            if step.wait is not None:
                holders = [holder for holder in step.wait.holders if holder != BREAKPOINT]
                met |= bool(holders)
                self.waits.update(f"{_label(step)} {holder}" for holder in holders)
            if step.result is not None and _SQLSTATE.fullmatch(step.result.error):
                met |= step.result.error in ABORT_STATES
                self.sqlstates[step.result.error] += 1
            met |= step.is_fault
        self.paused += bool(trace.breakpoints)
        held_back = _held_back(trace)
        self.conflicted += met or held_back
        self.overlapped += held_back or _overlaps(trace)
        return form

    def _orders(self, trace: Trace, moves: tuple[Move, ...]) -> bool:
        """Note the order of every two steps that met; whether any did."""
        labels = [_label(step) for step in trace]
        met = False
        for later, step in enumerate(trace):
            for earlier in range(later):
                if step.woken or moves[earlier].root == moves[later].root:
                    continue
                if _meet(moves[earlier], moves[later]):
                    met = True
                    _note(self.pairs, labels[earlier], labels[later])
                if sees(moves[earlier], moves[later]) or sees(moves[later], moves[earlier]):
                    _note(self.snapshots, labels[earlier], labels[later])
        return met

    def add(self, other: Coverage) -> Coverage:
        """Take in what another part of the same hunt saw."""
        self.sampled.update(other.sampled)
        for mine, theirs in ((self.pairs, other.pairs), (self.snapshots, other.snapshots)):
            for key, orders in theirs.items():
                mine[key] = mine.get(key, 0) | orders
        self.waits |= other.waits
        self.sqlstates.update(other.sqlstates)
        self.paused += other.paused
        self.overlapped += other.overlapped
        self.conflicted += other.conflicted
        return self

    @property
    def samples(self) -> int:
        """How many executions were independent samples."""
        return self.sampled.total()

    @property
    def chance_of_a_new_trace(self) -> float | None:
        """Good and Turing's estimate for the next sample; None without samples."""
        return self._met(1) / self.samples if self.samples else None

    @property
    def traces_at_least(self) -> float | None:
        """Chao's estimate of how many traces sampling can meet; None without samples."""
        if not self.samples:
            return None
        once, twice = self._met(1), self._met(2)
        return len(self.sampled) + once * (once - 1) / (2 * (twice + 1))

    def _met(self, times: int) -> int:
        return sum(number == times for number in self.sampled.values())

    def summary(self) -> dict[str, Any]:
        """Numbers for programs."""
        return {
            "overlapped": self.overlapped,
            "conflicted": self.conflicted,
            "conflicting_pairs": len(self.pairs),
            "conflicting_pairs_in_both_orders": in_both_orders(self.pairs),
            "snapshots_against_commits": len(self.snapshots),
            "snapshots_against_commits_in_both_orders": in_both_orders(self.snapshots),
            "lock_waits": len(self.waits),
            "sqlstates": dict(sorted(self.sqlstates.items())),
            "samples": self.samples,
            "chance_of_a_new_trace": self.chance_of_a_new_trace,
            "traces_at_least": self.traces_at_least,
        }

    def dump(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**values, "waits": sorted(self.waits)}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Coverage:
        """From what `dump` gave."""
        made = cls(**values)
        made.sampled, made.sqlstates, made.waits = Counter(made.sampled), Counter(made.sqlstates), set(made.waits)
        return made


def in_both_orders(seen: Mapping[str, int]) -> int:
    """How many of the pairs were seen in both orders."""
    return sum(orders == BOTH for orders in seen.values())


def _meet(one: Move, other: Move) -> bool:
    """Whether two statements touch the same rows, and not both by reading only. Where unsure, they do."""
    if one.ends or other.ends:
        return False
    if ActionKind.START in (one.kind, other.kind):
        return one.kind is other.kind
    if one.footprint.everything or other.footprint.everything:
        return one.kind in _TOUCHING and other.kind in _TOUCHING
    return any(
        (a.lock.clashes(b.lock) or (a.reads and b.writes) or (a.writes and b.reads)) and a.rows.meet(b.rows)
        for a in one.footprint.accesses
        for b in other.footprint.accesses
    )


def _note(seen: dict[str, int], earlier: str, later: str) -> None:
    key, order = (f"{earlier} {later}", BEFORE) if earlier < later else (f"{later} {earlier}", AFTER)
    seen[key] = seen.get(key, 0) | order


def _overlaps(trace: Trace) -> bool:
    """Whether somebody took a step, or a fault struck, between two steps of one transaction of another."""
    ended = dict.fromkeys(trace.actors, True)
    last = {step.actor: step.number for step in trace}
    for before, after in pairwise(trace):
        if not before.is_fault and before.action.kind is not ActionKind.START:
            ended[before.actor] = before.action.kind in _ENDS
        if after.is_fault:
            if not all(ended.values()):
                return True
        elif before.actor != after.actor and not ended.get(before.actor, True) and last[before.actor] > before.number:
            return True
    return False


def _held_back(trace: Trace) -> bool:
    """Whether somebody had to wait in the process for another: could not be chosen, though no lock of a row held it.

    A lock in the process around whole transactions keeps them from overlapping, as such code intends.
    """
    last = {_root(step.actor): step.number for step in trace if not step.is_fault}
    waiting: set[str] = set()
    for step in trace:
        able = {_root(each.actor) for each in step.alternatives if isinstance(each, Go)} | set(map(_root, waiting))
        if any(number > step.number and root not in able for root, number in last.items()):
            return True
        (waiting.add if step.wait is not None else waiting.discard)(step.actor)
    return False


def _root(name: str) -> str:
    """The actor to which a task belongs."""
    return name.partition("/")[0]


def _label(step: Step) -> str:
    return _short(f"{step.actor} {step.action.kind} {step.action.text}", 8)


def _short(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:digits]
