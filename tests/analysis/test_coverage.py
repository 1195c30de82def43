"""Coverage: what counts as one trace, what was met in both orders, and how much is unseen."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest
from helpers.decided import step_of
from helpers.kit import searched
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.analysis.coverage import AFTER, BEFORE, BOTH, Coverage, in_both_orders
from lab.model.footprint import Access, Deferred, Footprint, Lock, Rows
from lab.model.trace import Action, ActionKind, LockWait, Result, Step, Trace
from lab.report.limits import limits, seen
from lab.schedulers import make_scheduler
from lab.schedulers.dpor import Dpor
from scenarios.transfer import Transfer

READ, WRITE, COMMIT, STOP = "read", "write", "commit", "stop"


def step(number: int, actor: str, what: str, row: int = 1, **more) -> Step:
    """A step on one row of one table."""
    rows = Rows("account", (("id", frozenset({f"int:{row}"})),))
    access = {
        READ: Access(rows, reads=True),
        WRITE: Access(rows, Lock.NO_KEY_UPDATE, reads=True, writes=True),
        COMMIT: Access(rows, Lock.NO_KEY_UPDATE, reads=True, writes=True),
        STOP: Access(rows, reads=True),
    }[what]
    if what in (COMMIT, STOP):
        kind = ActionKind.COMMIT if what == COMMIT else ActionKind.ROLLBACK
        action = Action(kind, touches=Deferred.known(Footprint(held=(access,))))
    else:
        action = Action(ActionKind.STATEMENT, f"{what} {row}", touches=Deferred.known(Footprint((access,))))
    values = {"alternatives": ("ann", "ben"), **more}
    return step_of(number, actor, action=action, **values)


def trace(*steps: tuple) -> Trace:
    """From (actor, what, row) and keywords; each can go at any time, so long as it has a step left."""
    left = Counter(actor for actor, *_ in steps)
    made = []
    for number, (actor, what, *rest) in enumerate(steps, 1):
        more = rest.pop() if rest and isinstance(rest[-1], dict) else {}
        alternatives = tuple(sorted(name for name in left if left[name]))
        made.append(step(number, actor, what, *rest, **{"alternatives": alternatives, **more}))
        left[actor] -= 1
    return Trace(tuple(made), ("ann", "ben"))


def counted(*traces: Trace, sampled: bool = True) -> Coverage:
    coverage = Coverage()
    for each in traces:
        coverage.count(each, sampled=sampled)
    return coverage


def digest(*steps: tuple) -> str:
    return Coverage().count(trace(*steps), sampled=True)


def test_only_the_order_of_dependent_steps_makes_a_trace():
    """Two reads, or writes of two rows, may come in either order; two writes of one row may not."""
    assert digest(("ann", READ), ("ben", READ)) == digest(("ben", READ), ("ann", READ))
    assert digest(("ann", WRITE, 1), ("ben", WRITE, 2)) == digest(("ben", WRITE, 2), ("ann", WRITE, 1))
    assert digest(("ann", WRITE, 1), ("ben", WRITE, 1)) != digest(("ben", WRITE, 1), ("ann", WRITE, 1))
    assert digest(("ann", READ, 1)) != digest(("ann", READ, 2))


SERIAL = (("ann", READ), ("ann", WRITE), ("ann", COMMIT), ("ben", READ), ("ben", WRITE), ("ben", COMMIT))
CROSSED = (("ann", READ), ("ben", READ), ("ann", WRITE), ("ann", COMMIT), ("ben", WRITE), ("ben", COMMIT))


def test_a_pair_is_seen_in_both_orders_once_both_were_run():
    """Read against write, write against write, and a snapshot against a commit: each order is a bit."""
    one_way = counted(trace(*SERIAL))
    assert set(one_way.pairs.values()) | set(one_way.snapshots.values()) <= {BEFORE, AFTER}
    assert (len(one_way.pairs), len(one_way.snapshots)) == (
        3,
        4,
    )  # rw, wr, ww; each statement against the other's commit
    other_way = [({"ann": "ben", "ben": "ann"}[actor], *rest) for actor, *rest in SERIAL]
    both = counted(trace(*SERIAL), trace(*other_way))
    assert (in_both_orders(both.pairs), in_both_orders(both.snapshots)) == (3, 4)
    assert set(both.pairs.values()) == {BOTH}


def test_what_overlapped_and_what_conflicted():
    """Serial runs do not overlap; reads, and writes of different rows, do not conflict; waits and refusals do."""

    def of(*steps: tuple) -> tuple[int, int]:
        coverage = counted(trace(*steps))
        return coverage.overlapped, coverage.conflicted

    assert of(*SERIAL) == (0, 1)
    assert of(*CROSSED) == (1, 1)
    assert of(("ann", READ), ("ben", READ), ("ann", STOP), ("ben", STOP)) == (1, 0)
    assert of(("ann", WRITE, 1), ("ben", WRITE, 2), ("ann", COMMIT, 1), ("ben", COMMIT, 2)) == (1, 0)
    assert of(("ann", READ), ("ben", READ)) == (0, 0)  # whole actors of one step each
    waits = {"wait": LockWait(("ben",))}
    assert of(("ann", READ, 1, waits), ("ben", STOP), ("ann", STOP)) == (1, 1)
    assert of(("ann", READ, 1, {"result": Result(error="40001")}), ("ben", READ)) == (0, 1)
    assert of(("ann", READ, 1, {"result": Result(error="22012")}), ("ben", READ)) == (0, 0)


def test_waiting_for_a_lock_of_the_process_is_overlapping_and_meeting():
    """Code that keeps whole transactions apart by a lock of its own is held by it, and that is seen."""
    alone = {"alternatives": ("ann",)}
    kept = trace(("ann", READ, 1, alone), ("ann", STOP, 1, alone), ("ben", READ, 2), ("ben", STOP, 2))
    assert (counted(kept).overlapped, counted(kept).conflicted) == (1, 1)
    parent = trace(("ann/1", READ, 1, {"alternatives": ("ann/1", "ben")}), ("ann", READ), ("ben", READ))
    assert counted(parent).overlapped == 0  # ann waits for her own task


@pytest.mark.parametrize(("before", "overlaps"), [(READ, 1), (STOP, 0)])
def test_a_fault_within_a_transaction_overlaps_with_it(before, overlaps):
    """Between transactions it does not; it always meets somebody."""
    steps = trace(("ann", READ), ("ann", before), ("ben", READ))
    fault = step_of(3, "kill@ann", ("ben", "kill@ann"), Action(ActionKind.FAULT, "kill ann"))
    struck = Trace((*steps.steps[:2], fault, step(4, "ben", READ, alternatives=("ben",))), ("ann", "ben"))
    assert (counted(struck).overlapped, counted(struck).conflicted) == (overlaps, 1)


def test_sqlstates_and_waits_are_counted():
    """Each state by its steps; a wait once for each statement and holder; what a driver says of its own is no state."""
    waits = {"wait": LockWait(("ben",)), "result": None}
    lost, refused = {"result": Result(error="InterfaceError")}, {"result": Result(error="40P01")}
    each = trace(("ann", READ, 1, waits), ("ann", READ, 1, refused), ("ben", READ, 1, lost), ("ann", READ, 2, refused))
    coverage = counted(each, each)
    assert (coverage.sqlstates, len(coverage.waits)) == (Counter({"40P01": 4}), 1)


@given(st.lists(st.tuples(st.permutations(range(4)), st.booleans()), max_size=12), st.integers(0, 12))
def test_parts_add_up_also_as_json(runs, cut):
    """Two parts of a hunt, one of which came from another process, are the hunt as a whole."""
    steps = [("ann", READ), ("ben", WRITE), ("ann", COMMIT), ("ben", READ, 2)]
    whole, parts = Coverage(), [Coverage(), Coverage()]
    for number, (order, sampled) in enumerate(runs):
        made = trace(*(steps[index] for index in order))
        whole.count(made, sampled=sampled)
        parts[number >= cut].count(made, sampled=sampled)
    parts[0].add(Coverage.load(json.loads(json.dumps(parts[1].dump()))))
    assert parts[0] == whole
    assert whole.samples == sum(sampled for _, sampled in runs)


def test_the_estimates_are_those_of_the_papers():
    """Ten samples, three traces met once, two met twice, one met three times: 3/10 and 6 + 3 * 2 / (2 * 3)."""
    coverage = Coverage(sampled=Counter(a=1, b=1, c=1, d=2, e=2, f=3))
    assert (coverage.samples, coverage.chance_of_a_new_trace, coverage.traces_at_least) == (10, 0.3, 7.0)
    assert (Coverage().chance_of_a_new_trace, Coverage().traces_at_least) == (None, None)


def test_the_estimates_come_close_where_the_truth_is_known():
    """200 samples of 100 equally likely traces: 86.6 are expected to be met, the next one is new with chance .134.

    Over 100 fixed seeds the means must lie within .01 of .134 and within 5 of 100. The standard deviation of one
    estimate is about .026 and 8, of a mean of 100 a tenth of it.
    """
    new, least = [], []
    for seed in range(100):
        draw = random.Random(seed)
        coverage = Coverage(sampled=Counter(str(draw.randrange(100)) for _ in range(200)))
        new.append(coverage.chance_of_a_new_trace)
        least.append(coverage.traces_at_least)
    assert abs(sum(new) / 100 - 0.99**200) < 0.01
    assert abs(sum(least) / 100 - 100) < 5


def test_executions_that_are_no_samples_are_not_counted_for_estimates():
    """But for everything else they are."""
    coverage = counted(trace(*CROSSED), sampled=False)
    assert (coverage.samples, coverage.traces_at_least, coverage.overlapped) == (0, None, 1)
    assert len(list(seen(coverage))) == 1


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_the_normal_form_does_not_depend_on_which_execution_of_a_trace_was_run(seed):
    """Swap independent neighbours at random: all along, the digest stays."""
    draw = random.Random(seed)
    order = [
        ("ann", READ, 1),
        ("ann", WRITE, 2),
        ("ben", READ, 1),
        ("ben", WRITE, 3),
        ("ann", STOP, 1),
        ("ben", STOP, 1),
    ]
    first = digest(*order)
    for _ in range(20):
        at = draw.randrange(len(order) - 1)
        if order[at][0] != order[at + 1][0]:
            order[at], order[at + 1] = order[at + 1], order[at]
            assert digest(*order) == first


async def test_a_reduction_runs_each_trace_once_and_all_that_chance_meets(explorer):
    """Source-DPOR's executions are so many traces, and random walks find no other."""

    async def traces(scheduler, most: int) -> list[str]:
        found = []
        async for record in searched(explorer, Transfer(), scheduler, breakpoints=False):
            found.append(Coverage().count(record.trace, sampled=True))
            if len(found) == most:
                break
        return found

    every = await traces(Dpor(), 1000)
    assert len(every) == len(set(every)) > 10
    assert set(await traces(make_scheduler("random", 1), 40)) <= set(every)


def test_a_verdict_tells_its_limits_in_words():
    """All traces, a preemption bound, or a bound by samples; and what was seen."""
    coverage = Coverage(sampled=Counter(a=150, b=1), pairs={"x": BOTH, "y": BEFORE}, sqlstates=Counter({"40001": 2}))
    assert list(limits(7, coverage, complete=True, bound=None, preemption_bound=None)) == ["all 7 traces"]
    assert list(limits(1, coverage, complete=True, bound=None, preemption_bound=None)) == ["the only trace"]
    assert list(limits(7, coverage, complete=False, bound=0.02, preemption_bound=2)) == [
        "every schedule with at most 2 preemptions and faults",
        "95 % sure: at most 0.02 of the schedules it samples break anything (3/151)",
    ]
    assert list(seen(coverage)) == [
        (
            "seen: 1 of 2 conflicting pairs in both orders, 0 of 0 snapshots on both sides of a commit, 0 lock waits, "
            "40001 in 2 steps"
        ),
        "unseen: next sample new with chance 0.0066 (Good-Turing); 2 traces or more (Chao1)",
    ]


def test_a_pass_over_paused_statements_says_how_far_it_looked():
    """Everything was run, but for more breakpoints than an execution is given."""
    assert list(limits(7, Coverage(paused=1), complete=True, bound=None, preemption_bound=None)) == [
        "all 7 traces, with at most 2 breakpoints in each, 3 in a statement"
    ]
