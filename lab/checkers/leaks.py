"""Objects to what actors leave behind when all have ended: connections, open transactions, locks of a session.

Nobody notices one of them. After a few more the pool is empty, or everybody waits for a lock whose holder is gone.
Garbage may give a connection back at some time, with its transaction rolled back then and not before; and a lock of a
session outlives every transaction of it, in the hands of whoever is given the connection next.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.checker import Checker
from lab.model.leak import Leak
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord, Finding
from lab.scenario.declare import Scenario, actors_of

__all__ = ["CHECKER"]

KEEPS = "leak"
"""What a scenario or an actor allows that is meant to leave something."""
GIVEN_BACK = "every connection is given back"
RELEASED = "every advisory lock is released"
ENDED = "every transaction is ended"


def _leaks(record: ExecutionRecord) -> Iterator[Finding]:
    """A finding for each kind of thing that is left over; none where somebody could not end.

    What two tasks used at once is left over because of that, so it is no finding of its own.
    """
    if record.outcome.ending not in (Ending.COMPLETED, Ending.DEADLOCKED):
        return
    kinds: dict[str, list[Leak]] = {}
    excused = _meant_to_keep(record.scenario) | {
        name.partition("/")[0] for each in record.sharings for name in (each.first, each.second)
    }
    for each in record.leaks:
        if each.actor.partition("/")[0] in excused:
            continue
        kind = RELEASED if each.locks else GIVEN_BACK if each.pool else ENDED
        kinds.setdefault(kind, []).append(each)
    for name, leaks in kinds.items():
        yield Finding("leak", name, "; ".join(each.text() for each in leaks))


def _meant_to_keep(scenario: Scenario) -> frozenset[str]:
    """The actors that may leave something: it is the application's, and lives longer than a request."""
    return frozenset(each.name for each in actors_of(type(scenario)) if KEEPS in (*scenario.allows, *each.allows))


CHECKER = Checker(
    name="leak",
    headline="LEFT OVER",
    check=_leaks,
    race=False,
)
