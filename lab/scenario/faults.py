"""The kinds of fault that a scenario may be asked to withstand."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["FaultKind"]


class FaultKind(StrEnum):
    """The faults that a schedule can hold."""

    CANCEL = "cancel"
    """The actor's task is cancelled, as a web framework does when the client hangs up."""
    KILL = "kill"
    """The actor's connection is ended by the server, as an administrator or a proxy does."""
    CRASH = "crash"
    """The server crashes and comes up again: all connections break, and what was not yet written is lost."""
