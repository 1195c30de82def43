"""In which order the steps of a failing execution would have to come, in the fewest words that say all of it."""

from __future__ import annotations

from itertools import combinations

from helpers.decided import step_of
from hypothesis import given
from hypothesis import strategies as st

from lab.analysis.reordering import turned
from lab.model.record import Turned
from lab.model.trace import Action, ActionKind, LockWait, Trace

NAMES = [name for name, steps in {"ann": 3, "ben": 2, "cleo": 2}.items() for _ in range(steps)]


def traced(order: str | list[str], does: dict[tuple[str, int], str] | None = None, waits: int = 0) -> Trace:
    """Actors in this order, each with statements of its own; `waits` is the step that ends in a wait."""
    names = order.split() if isinstance(order, str) else order
    steps = []
    for number, name in enumerate(names, 1):
        at = names[:number].count(name)
        action = Action(ActionKind.STATEMENT, (does or {}).get((name, at), f"{name} {at}"))
        wait = LockWait(("ben",)) if number == waits else None
        steps.append(step_of(number, name, (name,), action, wait=wait))
    return Trace(tuple(steps), ("ann", "ben", "cleo"))


@given(st.permutations(NAMES), st.permutations(NAMES))
def test_what_is_named_implies_every_pair_in_the_other_order_and_nothing_of_it_can_be_spared(here, there):
    """As each actor keeps its own order: with these pairs turned, all are, and no others are named."""
    number, told = turned(traced(here), traced(there))

    def place(names: list[str], at: int) -> int:
        name, count = here[at - 1], here[:at].count(here[at - 1])
        return [index for index, each in enumerate(names, 1) if each == name][count - 1]

    pairs = {
        (late, early)
        for early, late in combinations(range(1, len(here) + 1), 2)
        if place(there, late) < place(there, early)
    }
    assert number == len(pairs)
    assert {(each.step, each.before) for each in told} <= pairs

    def implied(late: int, early: int, by: Turned) -> bool:
        same = here[late - 1] == here[by.step - 1] and here[early - 1] == here[by.before - 1]
        return same and late <= by.step and by.before <= early

    assert all(any(implied(*pair, each) for each in told) for pair in pairs)
    assert not any(implied(one.step, one.before, other) for one in told for other in told if one != other)


def test_an_actor_that_goes_on_where_it_failed_is_named():
    """What it does beyond the failing execution came first, too."""
    assert turned(traced("ann ben ben ann"), traced("ann ann ann ben ben")) == (
        2,
        (Turned(4, 2, "ann"),),
    )
    other = traced("ann ann ann ben ben", does={("ann", 2): "something else"})
    assert turned(traced("ann ben ben ann"), other) == (0, ())


def test_a_wait_that_only_the_passing_one_has_leaves_the_order_unsaid():
    """A statement that waited came at no single moment."""
    failing, passing = "ann ben ben ann", "ann ann ben ben"
    assert turned(traced(failing), traced(passing, waits=3)) == (0, ())
    assert turned(traced(failing, waits=3), traced(passing, waits=4)) == (2, (Turned(4, 2),))
