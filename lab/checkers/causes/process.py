"""The order of steps matters, and not through the database."""

from __future__ import annotations

from itertools import combinations

from lab.checkers.causes.observed import Observed
from lab.model.cause import Cause
from lab.model.footprint import Access
from lab.model.trace import ActionKind

__all__ = ["in_the_process"]

TIMED = (ActionKind.SLEEP, ActionKind.FAULT)


def in_the_process(seen: Observed) -> Cause | None:
    """No statement of one actor meets what another changes or locks, and yet it broke only as they overlapped.

    That is said only where everything is known that the statements touch, and nothing happens by the clock.
    """
    trace = seen.record.trace
    if not trace.preemptions or any(step.action.kind in TIMED or step.wait is not None for step in trace):
        return None
    touched: dict[str, list[Access]] = {name: [] for name in trace.actors}
    for _, each in seen.sent:
        if each.accesses is None or each.error:
            return None
        touched.setdefault(each.actor, []).extend(each.accesses)
    if any(_meet(a, b) for one, other in combinations(touched.values(), 2) for a in one for b in other):
        return None
    switched = tuple(step.number for step in trace if step.preempted)
    where = " and ".join(f"before #{number}" for number in switched)
    return Cause(
        "state in the process",
        f"no statement of one actor touches what another one changes or locks, and yet it broke as they took turns "
        f"({where}): what they share is outside of the database, such as a variable, a cache or a lock",
        switched,
        "keep what requests share in the database, or do not await between reading and changing it",
    )


def _meet(one: Access, other: Access) -> bool:
    changes = one.writes or other.writes or one.lock.clashes(other.lock)
    return one.rows.table == other.rows.table and changes and one.rows.meet(other.rows)
