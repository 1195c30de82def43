"""What the server is to refuse an actor, when it goes on."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Refused", "Unconnected"]


@dataclass(frozen=True, slots=True)
class Refused:
    """An error of the server's: its SQLSTATE, and its message in PostgreSQL's words."""

    sqlstate: str
    message: str


@dataclass(frozen=True, slots=True)
class Unconnected(Refused):
    """There is no connection for it: nothing reaches the server. Without an SQLSTATE a pool says so."""
