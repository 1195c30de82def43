"""Which server a run uses: the embedded one, or one given by URL. A plain value that other processes can use."""

from __future__ import annotations

import contextlib
import contextvars
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.postgres.server.embedded import embedded_server, joined_server
from lab.postgres.server.server import Server, external_server
from lab.postgres.server.versions import DEFAULT_VERSION

__all__ = ["Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """A URL, or an embedded server: a new one of a version, or a running one by its folder and process id."""

    url: str | None = field(default=None, repr=False)
    version: int = DEFAULT_VERSION
    folder: str | None = None
    pid: int | None = None

    @contextlib.contextmanager
    def server(self) -> Iterator[Server]:
        """The server, for the time of a block. Raises `UsageError` or `ServerError`."""
        with self._started() as server:
            yield server

    @contextlib.contextmanager
    def server_soon(self) -> Iterator[Callable[[], Server]]:
        """The same, started beside what this thread does meanwhile; what the block is given waits for it."""
        with ThreadPoolExecutor(1, thread_name_prefix="lab-server") as pool:
            starting = pool.submit(contextvars.copy_context().run, self._started)  # the bounds hold there, too
            try:
                yield starting.result
            finally:
                if starting.exception() is None:
                    starting.result().close()

    def _started(self) -> Server:
        if self.url is not None:
            return external_server(self.url)
        if self.folder and self.pid:
            return joined_server(self.version, Path(self.folder), self.pid)
        return embedded_server(self.version)

    def of(self, server: Server) -> Place:
        """The same server, for another process that uses it while this one holds it.

        One whose clock this process moves serves no other, so the other is to start its own.
        """
        if server.folder is None or server.clock is not None:
            return self
        return Place(None, self.version, str(server.folder), server.pid)

    def dump(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Place:
        """From JSON text."""
        return cls(**json.loads(text))
