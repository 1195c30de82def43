"""A statement takes longer than `statement_timeout` allows."""

from __future__ import annotations

from lab.engine.faults.refusal import Refusal

__all__ = ["FAULT"]


class StatementTimeout(Refusal):
    """The time itself does not pass: the statement is refused at once."""

    name = "statement-timeout"
    help = "The server cancels a statement with 57014, as it does when statement_timeout is over."
    story = "the statement of {} takes longer than statement_timeout allows"
    sqlstate = "57014"
    message = "canceling statement due to statement timeout"


FAULT = StatementTimeout()
