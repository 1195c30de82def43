"""What may move an actor although nobody takes a decision: sockets to elsewhere, and processes."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

__all__ = ["OUTSIDE_SECONDS", "Outside"]

OUTSIDE_SECONDS = 10.0
"""How long an actor may wait for a socket that is not the lab's. A guess, so it is long and its end no verdict."""


class Outside:
    """The outside of one execution, as its event loop shows it; `driver` is the folder of the database's driver.

    A socket is known by what the loop calls when it can be read. All of the driver's are the lab's, since an actor can
    use no other. Whatever else is open leads elsewhere, whoever opened it and when: a client that keeps its connections
    alive opens them in one execution and uses them in the next.
    """

    def __init__(self, loop: Any, driver: str) -> None:
        self._loop, self._driver = loop, driver
        self.processes: list[asyncio.SubprocessTransport] = []

    def is_there(self) -> bool:
        """Whether a process of an actor's runs, or a socket to elsewhere is open."""
        runs = (each.get_returncode() is None for each in self.processes)
        return any(runs) or any(map(self._leads_elsewhere, self._callbacks()))

    def _callbacks(self) -> list[Any]:
        """For each open file that the loop watches, what it calls when that can be read, or else written."""
        selector = getattr(self._loop, "_selector", None)
        watched = () if selector is None else selector.get_map().values()
        handles = (key.data[0] or key.data[1] for key in watched)
        return [handle._callback for handle in handles if handle is not None]  # noqa: SLF001 - nothing public says it

    def _leads_elsewhere(self, callback: Any) -> bool:
        if callback == self._loop._read_from_self:  # noqa: SLF001 - how threads and signals wake the loop
            return False
        transport = getattr(callback, "__self__", None)
        protocol = transport.get_protocol() if isinstance(transport, asyncio.BaseTransport) else None
        protocol = getattr(protocol, "_app_protocol", protocol)  # of a connection with TLS
        module = sys.modules.get(type(protocol).__module__)
        return not (getattr(module, "__file__", None) or "").startswith(self._driver)
