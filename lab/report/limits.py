"""What a search saw and what it leaves open, in a few lines: a verdict without its limits would say too much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.analysis.coverage import Coverage, in_both_orders
from lab.model.decision import FOR_A_STATEMENT, FOR_AN_EXECUTION
from lab.model.starts import Starts
from lab.model.text import listed

__all__ = ["begun", "differing", "limits", "not_compared", "seen"]

MOST_PLACES = 8
"""Places that a sentence lists; JSON has them all."""


def limits(
    traces: int, coverage: Coverage, *, complete: bool, bound: float | None, preemption_bound: int | None
) -> Iterator[str]:
    """How much a pass says: everything was run, or everything up to a bound, or so many samples."""
    if complete:
        every = f"all {traces} traces" if traces > 1 else "the only trace"
        paused = f", with at most {FOR_AN_EXECUTION} breakpoints in each, {FOR_A_STATEMENT} in a statement"
        yield every + paused if coverage.paused else every
        return
    if preemption_bound is not None:
        few = {0: "without a preemption or a fault", 1: "with at most one preemption or one fault"}
        yield f"every schedule {few.get(preemption_bound, f'with at most {preemption_bound} preemptions and faults')}"
    if bound is not None:
        yield f"95 % sure: at most {bound:.2g} of the schedules it samples break anything (3/{coverage.samples})"


def begun(starts: Starts) -> Iterator[str]:
    """What is known of the order in which the actors begin, where it may matter."""
    if starts is Starts.DECIDED:
        yield "begin: the order in which the actors begin matters, so it is part of each schedule"
    elif starts is Starts.UNKNOWN:
        yield "begin: all actors began in one order; nobody knows whether that matters, so there may be more traces"


def not_compared(values: Sequence[str]) -> Iterator[str]:
    """What was not compared with serial runs, since it differs in every execution."""
    if values:
        yield f"not compared, since it differs in every execution: {', '.join(values)}"


def differing(places: Sequence[str]) -> Iterator[str]:
    """What was compared by nobody, since two equal runs showed that nothing controls it."""
    if places:
        yield f"not compared, since they differ between two equal runs: {listed(places, most=MOST_PLACES)}"


def seen(coverage: Coverage) -> Iterator[str]:
    """What was met; and for samples, how much may not have been met."""
    parts = [
        f"{in_both_orders(coverage.pairs)} of {len(coverage.pairs)} conflicting pairs in both orders",
        f"{in_both_orders(coverage.snapshots)} of {len(coverage.snapshots)} snapshots on both sides of a commit",
        f"{len(coverage.waits)} lock waits",
        *(f"{state} in {times} steps" for state, times in sorted(coverage.sqlstates.items())),
    ]
    yield f"seen: {', '.join(parts)}"
    chance, least = coverage.chance_of_a_new_trace, coverage.traces_at_least
    if chance is not None and least is not None:
        yield f"unseen: next sample new with chance {chance:.2g} (Good-Turing); {least:.0f} traces or more (Chao1)"
