"""Pings: how a pool asks whether a connection still lives (`pool_pre_ping`). None is a step.

SQLAlchemy's sends an empty statement to asyncpg, in a transaction of its own that it rolls back. Nobody can see it, and
where in a request it comes is the pool's business, so a scheduling point there would only be noise in the story.
"""

from __future__ import annotations

from lab.model.trace import ActionKind

__all__ = ["Ping"]


class Ping:
    """Which operations on one connection belong to a ping."""

    __slots__ = ("_begun", "_pinged")

    def __init__(self) -> None:
        self._begun = False
        """A transaction was begun, and nothing sent in it yet."""
        self._pinged = False
        """Nothing but an empty statement was sent in the transaction that is open."""

    def only(self, query: str, *, begins: bool = False, ends: ActionKind | None = None) -> bool:
        """Whether what is sent next is an empty statement, or ends a transaction that held nothing else.

        BEGIN is not known to be a ping's yet; it is no step in any case.
        """
        empty = not query.strip(" ;\n")
        if ends is not None:
            ping = self._pinged and ends is ActionKind.ROLLBACK
            self._begun = self._pinged = False
            return ping
        self._pinged = empty and (self._begun or self._pinged)
        self._begun = begins
        return empty
