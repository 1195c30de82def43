"""Objects to an execution in which two tasks used one session or connection at the same time.

Neither SQLAlchemy nor asyncpg allows it. It may go well for long, since who comes second mostly finds a connection that
is open and idle; when it does not, statements run in the wrong transaction or end with an error that names no cause.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.checkers.checker import Checker
from lab.model.record import ExecutionRecord, Finding

__all__ = ["CHECKER"]


def _sharing(record: ExecutionRecord) -> Iterator[Finding]:
    """One finding for an execution: who used what, and where."""
    said = [
        f"{each.first} uses one {each.what} at {each.first_place}, and so does {each.second} at {each.second_place}"
        for each in record.sharings
    ]
    if said:
        yield Finding("sharing", "no session is used by two tasks at the same time", "; ".join(said))


CHECKER = Checker(
    name="sharing",
    headline="ONE SESSION, TWO TASKS",
    check=_sharing,
    summary="two tasks use one session or connection at the same time",
)
