"""The normal form of a trace: one for all who ask what counts as the same trace."""

from __future__ import annotations

from dataclasses import replace

from test_coverage import READ, WRITE, trace

from lab.analysis.coverage import Coverage
from lab.analysis.normal_form import LONGEST, digest, normal_form
from lab.model.trace import LockWait
from lab.schedulers.novelty import Seen

ONE = trace(("ann", READ, 1), ("ben", READ, 1), ("ann", WRITE, 1))
SWAPPED = trace(("ben", READ, 1), ("ann", READ, 1), ("ann", WRITE, 1))
OTHER = trace(("ann", WRITE, 1), ("ben", WRITE, 1))
OTHER_ORDER = trace(("ben", WRITE, 1), ("ann", WRITE, 1))


def test_coverage_and_novelty_count_the_same_traces():
    waits = replace(OTHER, steps=(OTHER.steps[0], replace(OTHER.steps[1], wait=LockWait(("ann",)))))
    seen, coverage = Seen(), Coverage()
    for each, new in ((ONE, True), (SWAPPED, False), (OTHER, True), (OTHER_ORDER, True), (waits, True), (ONE, False)):
        known = set(coverage.sampled)
        assert coverage.count(each, sampled=True) == digest(each)
        assert seen.add(each) == new == (digest(each) not in known)


def test_a_step_that_waits_and_is_never_woken_is_not_one_that_was_done():
    """Two stalls that differ in whether the last statement was done: nothing else in the trace says so."""
    done = trace(("ann", WRITE, 1), ("ben", WRITE, 1))
    waits = replace(done, steps=(done.steps[0], replace(done.steps[1], wait=LockWait(("ann",)))))
    assert normal_form(done) != normal_form(waits)


def test_behind_the_longest_part_steps_count_in_their_order():
    steps = [(("ann", "ben")[number % 2], READ, 1) for number in range(LONGEST)]
    long = trace(*steps, ("ann", READ, 1), ("ben", READ, 1))
    swapped = trace(*steps, ("ben", READ, 1), ("ann", READ, 1))
    assert digest(long) != digest(swapped)
    assert digest(trace(*steps)) == digest(
        trace(*[step for pair in zip(steps[1::2], steps[::2], strict=True) for step in pair])
    )
