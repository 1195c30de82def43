"""The backend behind a connection: stopped in its lock wait, so that waking it is a decision, and let go on."""

from __future__ import annotations

import os
import signal

__all__ = ["ServerProcess"]


class ServerProcess:
    """The backend behind one connection, and whether we may stop it."""

    def __init__(self, pid: int, *, may_freeze: bool) -> None:
        self.pid = pid
        self.limits: set[str] = set()
        """Those of time that its session has, and that no actor set."""
        self._may_freeze = may_freeze
        self._frozen = False

    @property
    def is_frozen(self) -> bool:
        """Whether it is stopped now."""
        return self._frozen

    def freeze(self) -> None:
        """Stop the process in its lock wait. Does nothing where we may not."""
        if self._may_freeze and not self._frozen:
            self._signal(signal.SIGSTOP)
            self._frozen = True

    def thaw(self) -> None:
        """Let it go on."""
        if self._frozen:
            self._frozen = False
            self._signal(signal.SIGCONT)

    def end(self) -> None:
        """End the process. A frozen one wakes up to its end, before it can use a lock that it was granted."""
        if self._frozen:
            self._signal(signal.SIGTERM)
            self.thaw()

    def died(self) -> None:
        """The process is gone; its id may soon be another's."""
        self._frozen = self._may_freeze = False

    def interrupt_if_frozen(self) -> None:
        """Cancel the statement of a frozen backend, so that it wakes up cancelled whatever it was granted.

        The client's own cancel request takes a connection of its own and may come after the lock.
        """
        if self._frozen:
            self._signal(signal.SIGINT)
            self.thaw()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            self._may_freeze = False  # it died; its connection will say so
