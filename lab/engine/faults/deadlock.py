"""The server breaks a deadlock."""

from __future__ import annotations

from lab.engine.faults.refusal import Refusal

__all__ = ["FAULT"]


class Deadlock(Refusal):
    """Whom the actor met is nobody of the scenario: in production there are more requests than in a test."""

    name = "deadlock"
    help = "The server refuses a statement with 40P01, as it does to break a deadlock with a request that is not here."
    story = "the server breaks a deadlock by refusing {}"
    sqlstate = "40P01"
    message = "deadlock detected"


FAULT = Deadlock()
