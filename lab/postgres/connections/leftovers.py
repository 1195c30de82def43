"""What a session keeps of the executions that it served, and what must be sent so that no later one can see it.

An execution in which every statement was tidy (see `statements.tidy`) leaves next to nothing in its sessions: numbers
that sequences gave, which `currval` shows, and prepared statements. The former are forgotten with the BEGIN of the next
execution, in one message. The latter are worth keeping, since each saves a round trip; they are forgotten before a
statement that might show them. After any other execution each session is reset as a whole, before the next one begins.
"""

from __future__ import annotations

from typing import Any

from lab.postgres.connections.caches import PreparedStatements
from lab.postgres.connections.points import SAVEPOINT
from lab.postgres.statements.limits import limits_set
from lab.postgres.statements.tidy import draws

__all__ = ["FORGET", "Leftovers"]

FORGET = "DISCARD SEQUENCES;"
_LOST = ("08", "53", "57", "58", "XX")
"""Classes of SQLSTATEs after which a session may be gone: connection, resources, operator, system, internal."""


class Leftovers:
    """Of one asyncpg connection."""

    def __init__(self, connection: Any) -> None:
        self.prepared = PreparedStatements(connection)
        self._connection = connection
        self.records = False
        """Whether the session was told to report what it writes."""
        self._drew = False
        """A sequence may have been drawn from since the session was reset."""
        self._owes = False
        """It is to forget what it drew in a former execution, before it does anything else."""

    def keep(self, *, records: bool) -> bool:
        """After a tidy execution: whether nothing needs to be sent now. `records`: whether it is to report writes."""
        if self.records is not records or not self.prepared.keep():
            return False
        self._owes, self._drew = self._owes or self._drew, False
        return True

    def forget(self, *, records: bool) -> str:
        """What to send, beside what asyncpg sends, so that nothing is left."""
        self._owes = self._drew = False
        self.records = records
        return f"{FORGET} DISCARD TEMP; {self.prepared.forget()}"

    def before(self, text: str) -> str:
        """What to send before a statement, "" for nothing. The journal learns whether all is still tidy.

        All passes here that is not BEGIN, COMMIT or ROLLBACK.
        """
        first, self._owes = FORGET if self._owes else "", False
        if self._is_tidy(text):
            self._drew = self._drew or draws(text)
            return first
        self._connection.journal.tidy = False
        for name, is_one in limits_set(text) if not self._connection.in_use else ():  # an engine sets it up
            limits = self._connection.process.limits
            (limits.add if is_one else limits.discard)(name)
        return first + self.prepared.spare

    def _is_tidy(self, text: str) -> bool:
        known = self._connection.catalog.is_tidy(text) or SAVEPOINT.match(text) is not None or not text.strip(" ;\n")
        return known or text == self._connection.get_reset_query()

    def again(
        self,
        text: str,
        *,
        named: str | bool = False,
        record_class: Any = None,
        ignore_custom_codec: bool = False,
        **_: Any,
    ) -> Any:
        """Asyncpg's state of a statement that is still prepared from a former execution, where nobody can notice.

        Preparing takes locks, and outside a transaction it gives them back before the statement is executed.
        """
        protocol = self._connection._protocol  # noqa: SLF001
        if isinstance(named, str) or not (self._connection.journal.tidy and protocol.is_in_transaction()):
            return None
        return self.prepared.take(text, record_class or protocol.get_record_class(), ignore_custom_codec)

    def failed(self, error: Exception) -> None:
        """A statement failed. Where the session may be lost, each is asked before the next execution."""
        state: str = getattr(error, "sqlstate", None) or ""
        if not state or state.startswith(_LOST):
            self._connection.journal.tidy = False

    def begin(self, query: str) -> str:
        """What to send for a BEGIN: what the session owes goes with it, in a transaction of its own."""
        first, self._owes = f"BEGIN;{FORGET}COMMIT;" if self._owes else "", False
        return first + query
