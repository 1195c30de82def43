"""A sentence beside an error that says little to who meets it for the first time, where the trace shows its cause."""

from __future__ import annotations

from collections.abc import Iterator

from lab.model.record import ExecutionRecord
from lab.model.trace import ActionKind

__all__ = ["hints"]

_OUT_OF_REACH = ("MissingGreenlet", "DetachedInstanceError")
"""What SQLAlchemy raises where an attribute is to be loaded and nobody awaits it, or no session is there."""


def hints(record: ExecutionRecord, actor: str) -> Iterator[str]:
    """What may help against the error that an actor raised."""
    error = record.outcome.results[actor].error
    if type(error).__name__ not in _OUT_OF_REACH:
        return
    own = [step for step in record.trace if step.actor == actor]
    if own and own[-1].action.kind is ActionKind.COMMIT:
        yield (
            "  its last step was COMMIT, which makes ORM objects forget their columns: read them before it, or make "
            "the session with expire_on_commit=False"
        )
    else:
        yield (
            "  an attribute that was not loaded was read outside of a statement: load it with the query "
            "(selectinload, joinedload), or await obj.awaitable_attrs.name"
        )
