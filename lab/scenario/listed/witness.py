"""Sees which files are read while modules are imported, and whether anything is done of which no file tells.

Python reports what it opens, and more, to audit hooks (PEP 578). A hook cannot be taken away again; one that is done
returns at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib.util import source_from_cache
from pathlib import Path

__all__ = ["Witness"]

_BEYOND = ("socket.", "subprocess.", "sqlite3.", "shutil.", "tempfile.", "urllib.", "ftplib.", "http.", "smtplib.")
"""How the names of events begin that are about something else than reading a file."""
_ALSO_BEYOND = {"os.exec", "os.fork", "os.forkpty", "os.kill", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir",
                "os.spawn", "os.system", "os.mkdir", "os.link", "os.symlink", "os.truncate", "pty.spawn"}  # fmt: skip
_HARMLESS = {"socket.__new__", "socket.gethostname"}
"""What importing a library may do without asking anybody; the host's name is part of what is compared."""


class Witness:
    """What was done in its block."""

    def __init__(self) -> None:
        self.opened: set[str] = set()
        """Absolute paths of files that were opened to be read, or looked for there."""
        self.looked_into: set[str] = set()
        """Absolute paths of folders whose entries were asked for."""
        self.beyond = ""
        """The first thing done that no file tells of; "" if there was none."""
        self._active = False

    @contextlib.contextmanager
    def watching(self) -> Iterator[Witness]:
        """For the time of a block."""
        self._active = True
        sys.addaudithook(self._hear)
        try:
            yield self
        finally:
            self._active = False

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._active:
            try:
                self._note_event(event, arguments)
            except Exception as error:  # noqa: BLE001 - raised here, it would come out of the code that is watched
                self.beyond = self.beyond or f"{event}: {error!r}"

    def _note_event(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            self._opens(*arguments)
        elif event in {"os.listdir", "os.scandir"}:
            self._note(self.looked_into, arguments[0] if arguments[0] is not None else ".")
        elif event in _ALSO_BEYOND or (event.startswith(_BEYOND) and event not in _HARMLESS):
            self.beyond = self.beyond or event

    def _opens(self, path: object, mode: object = None, flags: object = 0) -> None:
        if isinstance(path, int):  # a descriptor that somebody has opened: by `open` or by `os.open`, so it was seen
            return
        writes = bool(set(mode) & set("wax+")) if isinstance(mode, str) else False
        writes = writes or (isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR)))
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if f"{os.sep}__pycache__{os.sep}" in name:  # Python's own copy of a source, with which it compares it
            with contextlib.suppress(ValueError):
                self._note(self.opened, source_from_cache(name))
            return
        if writes and name != os.devnull:
            self.beyond = self.beyond or "open"
        self._note(self.opened, path)

    def _note(self, seen: set[str], path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            seen.add(str(Path.cwd() / os.fsdecode(path)))
        else:
            self.beyond = self.beyond or "a path without a name"
