"""Which server a run uses: the embedded one, or one given by URL. A plain value that other processes can use."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
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
        if self.url is not None:
            server = external_server(self.url)
        elif self.folder and self.pid:
            server = joined_server(self.version, Path(self.folder), self.pid)
        else:
            server = embedded_server(self.version)
        with server:
            yield server

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
