"""What may move an actor although nobody takes a decision: sockets to elsewhere, and processes."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["OUTSIDE_SECONDS", "Outside"]

OUTSIDE_SECONDS = 10.0
"""How long an actor may wait for a socket that is not the lab's. A guess, so it is long and its end no verdict."""


class Outside:
    """The outside of one execution, as its event loop shows it."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._sockets = self._open_sockets()
        self.processes: list[asyncio.SubprocessTransport] = []
        self.met = False
        """Somebody may have waited for it."""

    def own_socket(self, number: int) -> None:
        """A connection of the lab's was opened on this socket: it leads to nowhere else."""
        self._sockets |= {number}

    def is_there(self) -> bool:
        """Whether a process of an actor's runs, or a socket to elsewhere is open. Asked when somebody waits."""
        runs = (each.get_returncode() is None for each in self.processes)
        there = any(runs) or bool(self._open_sockets() - self._sockets)
        self.met = self.met or there
        return there

    def _open_sockets(self) -> frozenset[int]:
        selector = getattr(self._loop, "_selector", None)
        return frozenset(selector.get_map()) if selector is not None else frozenset()
