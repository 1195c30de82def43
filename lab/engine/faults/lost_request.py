"""A COMMIT is lost on its way."""

from __future__ import annotations

from lab.engine.faults.lost_answer import LostAnswer
from lab.engine.ports import Cut

__all__ = ["FAULT"]


class LostRequest(LostAnswer):
    """The other world of a lost answer: the same error, and the server rolls back."""

    name = "lost-request"
    help = "The connection breaks before the COMMIT reaches the server, which rolls back: the COMMIT is in doubt."
    story = "the COMMIT of {} gets lost before it reaches the server"
    brings = ()
    cut = Cut.BEFORE_REQUEST


FAULT = LostRequest()
