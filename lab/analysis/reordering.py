"""How the steps of a failing execution would have to be reordered to give a passing one: the fewest words for it.

Two executions of one scenario are compared by when each actor began its first, second, third … action. Of each actor
only what it did in both counts: from where it does something else, its steps have no counterpart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lab.model.record import Turned
from lab.model.trace import Step, Trace

__all__ = ["turned"]

Place = tuple[str, int]
"""An actor, and the how-many-th of its actions."""


def turned(failing: Trace, passing: Trace) -> tuple[int, tuple[Turned, ...]]:
    """How many pairs of steps have the other order, and the least that implies all of them.

    (0, ()) where a step waits in the passing one only: when it came is then no single moment.
    """
    here, there = _begun(failing), _begun(passing)
    both = _in_both(here, there)
    if any(step.wait and not (place in both and here[place].wait) for place, step in there.items()):
        return 0, ()
    pairs = [
        (late, early)
        for at, early in enumerate(both)
        for late in both[at + 1 :]
        if there[late].number < there[early].number
    ]
    least = [pair for pair in pairs if not any(_implies(other, pair) for other in pairs)]
    alone = {place: step for place, step in there.items() if place not in both}
    return len(pairs), tuple(
        Turned(here[late].number, here[early].number, _onward(late[0], alone, there[early].number))
        for late, early in least
    )


def _in_both(here: dict[Place, Step], there: dict[Place, Step]) -> list[Place]:
    """What both did, in the order of the first; of each actor up to where it does something else."""
    parted: dict[str, int] = {}
    for (actor, number), step in here.items():
        other = there.get((actor, number))
        if other is None or (other.action.kind, other.action.text) != (step.action.kind, step.action.text):
            parted.setdefault(actor, number)
    return [place for place in here if place[1] < parted.get(place[0], place[1] + 1)]


def _begun(trace: Trace) -> dict[Place, Step]:
    """The step in which each action began, in the order of steps."""
    return dict(_counted(trace))


def _counted(trace: Trace) -> Iterator[tuple[Place, Step]]:
    count: Counter[str] = Counter()
    for step in trace:
        if not step.is_fault and not step.woken:
            count[step.actor] += 1
            yield (step.actor, count[step.actor]), step


def _implies(stronger: tuple[Place, Place], pair: tuple[Place, Place]) -> bool:
    """Whether a pair in the other order brings another one with it, as each actor keeps its own order."""
    (late, early), (later, earlier) = pair, stronger
    same = (late[0], early[0]) == (later[0], earlier[0])
    return same and stronger != pair and late[1] <= later[1] and earlier[1] <= early[1]


def _onward(actor: str, alone: dict[Place, Step], until: int) -> str:
    """The actor, if before this step it did what it does not do in the failing execution."""
    return actor if any(name == actor and step.number < until for (name, _), step in alone.items()) else ""
