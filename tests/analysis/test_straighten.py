"""Straightening: the same trace, in long stretches."""

from __future__ import annotations

from helpers.decided import decided, step_of
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.analysis.happens_before import HappensBefore
from lab.analysis.straighten import straightened
from lab.model.decision import Decision
from lab.model.footprint import Access, Deferred, Footprint, Lock, Rows
from lab.model.trace import Action, ActionKind, LockWait, Step, Trace

ACTORS = ("ann", "ben", "cleo")


def trace(steps: list[tuple[str, int]], *, waits: tuple[int, ...] = ()) -> Trace:
    """Each step locks one row, given by its number; everybody can always go on, but for the waits."""
    made: list[Step] = []
    for number, (actor, row) in enumerate(steps, 1):
        access = Access(Rows("account", (("id", frozenset({f"int:{row}"})),)), Lock.NO_KEY_UPDATE)
        action = Action(ActionKind.STATEMENT, f"{row}", touches=Deferred.known(Footprint((access,))))
        left = {name for name, _ in steps[number - 1 :]}
        last = made[-1].actor if made else ""
        preempted = last if last in left and last != actor and made[-1].wait is None else ""
        wait = LockWait(("somebody",)) if number in waits else None
        made.append(step_of(number, actor, ACTORS, action, wait=wait, preempted=preempted))
    return Trace(tuple(made), ACTORS)


def reordered(one: Trace, decisions: tuple[Decision, ...]) -> list[int]:
    """The positions of the trace's steps in the order of these decisions."""
    own = {name: [at for at, step in enumerate(one) if step.actor == name] for name in ACTORS}
    return [own[each.actor].pop(0) for each in decisions]


@settings(deadline=None)  # a busy machine is no defect
@given(st.lists(st.tuples(st.sampled_from(ACTORS), st.integers(1, 4)), max_size=14))
def test_the_order_of_dependent_steps_stays_and_preemptions_never_grow(steps):
    """Whatever the steps are, the result is another way to write the same trace, and none that is worse."""
    one = trace(steps)
    names = straightened(one)
    assert names is not None
    order, before = reordered(one, names), HappensBefore(one.steps).before
    assert sorted(order) == list(range(len(steps)))
    assert not any(before(later, earlier) for place, earlier in enumerate(order) for later in order[place + 1 :])
    assert trace([steps[at] for at in order]).preemptions <= one.preemptions


def test_independent_steps_are_brought_together():
    """Six switches between actors that have nothing in common become two, none of which preempts."""
    steps = [(name, row) for _ in range(3) for name, row in (("ann", 1), ("ben", 2), ("cleo", 3))]
    assert straightened(trace(steps)) == decided("ann ann ann ben ben ben cleo cleo cleo")


def test_who_waits_gives_way_for_free():
    """Ann has to stop before row 2 in any case; that ben goes on where cleo waits costs nothing."""
    steps = [("ann", 1), ("ben", 2), ("cleo", 1), ("ann", 2), ("cleo", 3)]
    names = straightened(trace(steps, waits=(3,)))
    assert trace([steps[at] for at in reordered(trace(steps), names)]).preemptions == 1


def test_a_search_that_grows_too_large_is_given_up(monkeypatch):
    """Then the minimiser goes on with what it has."""
    monkeypatch.setattr("lab.analysis.straighten.MOST_STATES", 1)
    assert straightened(trace([("ann", 1), ("ben", 2), ("ann", 3)])) is None
