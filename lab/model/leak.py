"""What an actor left behind: a connection that nobody gave back, a transaction that is open, locks of a session."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Leak"]

OPEN = ", with its transaction open"


@dataclass(frozen=True, slots=True)
class Leak:
    """One connection that an actor left in a state that hurts others, when all actors had ended."""

    actor: str
    """The name of the actor, or of the task of its own."""
    thing: str
    """What it did not close: "session" or "connection"."""
    opened: str = ""
    """Where it opened that: file and line; "" where no line of the user's is known."""
    used: str = ""
    """Where it took the connection, or the lock."""
    pool: str = ""
    """The pool to which the connection was not given back; "" where it was, or is of no pool."""
    in_transaction: bool = False
    """A transaction is open there."""
    locks: tuple[str, ...] = ()
    """Advisory locks of the session that nobody released, by their keys."""

    def text(self) -> str:
        """A sentence without a full stop and without lines of code, which are the same wherever it is run."""
        return self._said("", "")

    def told(self, here: str = "") -> str:
        """The same with lines of code. `here` is a folder whose name is left out."""
        return self._said(self.opened.removeprefix(here), self.used.removeprefix(here))

    def _said(self, opened: str, used: str) -> str:
        if self.locks:
            taken = f", taken at {used}" if used else ""
            return f"{self.actor} never released {' and '.join(self.locks)}{taken}; its session is handed on with it"
        if not self.pool:
            return f"{self.actor} ended while a transaction is open on a connection of its own"
        said = f"{self.actor} never closed a {self.thing}{f' that it opened at {opened}' if opened else ''}"
        taken = f", taken at {used}," if used and used != opened else ""
        return f"{said}; a connection{taken} stays checked out of {self.pool}{OPEN if self.in_transaction else ''}"
