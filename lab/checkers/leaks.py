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

__all__ = ["CHECKER"]

GIVEN_BACK = "every connection is given back"
RELEASED = "every advisory lock is released"
ENDED = "every transaction is ended"


def _leaks(record: ExecutionRecord) -> Iterator[Finding]:
    """A finding for each kind of thing that is left over; none where somebody could not end."""
    if record.outcome.ending not in (Ending.COMPLETED, Ending.DEADLOCKED):
        return
    kinds: dict[str, list[Leak]] = {}
    for each in record.leaks:
        kind = RELEASED if each.locks else GIVEN_BACK if each.pool else ENDED
        kinds.setdefault(kind, []).append(each)
    for name, leaks in kinds.items():
        yield Finding("leak", name, "; ".join(each.text() for each in leaks))


CHECKER = Checker(
    name="leak",
    headline="LEFT OVER",
    check=_leaks,
    race=False,
)
