"""Keeps what was listed, and shows it again without importing anything, as long as it is what an import would show.

What a module declares when it is imported depends on its source and on those of all that it imports, on other files
that any of them reads, on the environment, the interpreter and the search path. All that is seen while a project is
imported (see `witness`), and kept beside the list; the list stands as long as all of it is the same. Where a module
does more (it asks a server, starts a program, writes a file), nothing is kept. What cannot be seen is that a module
asks for the time, for chance, or whether a file is there that it does not open.

A list is a file of its own, written whole or not at all; of several processes that write it the last one wins. Whatever
else stands in its place counts for nothing, and where it cannot be written, it is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.scenario.folders import project_folder
from lab.scenario.listed.state import State, changed_since, circumstances, files_of_modules, state_of
from lab.scenario.listed.witness import Witness
from lab.scenario.pyproject import FILE, project_root

__all__ = ["Listing"]

Entries = list[dict[str, Any]]

FORM = 1
"""Of the file."""
MOST = 60
"""Lists that are kept: one for each folder and package that somebody listed."""
MARGIN = 2_000_000_000
"""Nanoseconds before an import within which a file must not have changed for its list to be kept. A file system may
say when it was written in whole seconds only, and then a later change might look the same."""
MOST_FILES = 5000
"""To look at more would take as long as to import them."""


class Listing:
    """What is listed of a package, or of the project around the working folder; kept in a folder of the cache.

    Make it before anything of the project is imported: it notes what could be changed by that.
    """

    def __init__(self, cache: Callable[[], Path], package: str | None = None) -> None:
        self._cache, self._here = cache, Path.cwd()
        self._given = f"{circumstances()} {project_folder()} {project_root()}"
        place = repr((str(self._here), sys.executable, package))
        self._name = f"{hashlib.sha256(place.encode(errors='backslashreplace')).hexdigest()[:32]}.json"

    def known(self) -> Entries | None:
        """What was listed, if nothing has changed since; else None."""
        with contextlib.suppress(Exception):  # whatever stands there, it is not what was kept
            content = json.loads(_read(self._folder() / self._name))
            if content.pop("seal") != _seal(content) or (content["form"], content["given"]) != (FORM, self._given):
                return None
            if all(state_of(path) == state for path, state in content["states"].items()):
                entries: Entries = content["entries"]
                return entries
        return None

    def made(self, make: Callable[[], Entries], *, began: int | None = None) -> Entries:
        """What `make` lists, kept if it may be. `began`: when, in nanoseconds since 1970; by default now."""
        began = began or time.time_ns()
        witness = Witness()
        with witness.watching():
            entries = make()
        with contextlib.suppress(OSError, ValueError, RecursionError, LabError):
            states = None if witness.beyond else self._states(witness)
            if states is not None and not changed_since(states.values(), began - MARGIN):
                self._keep({"form": FORM, "given": self._given, "states": states, "entries": entries})
        return entries

    def _states(self, witness: Witness) -> dict[str, State] | None:
        """Of all that was read; None where that is too much, or not known. Raises `OSError`."""
        modules = files_of_modules(dict(sys.modules))
        if modules is None:
            return None
        settings = [str(folder / FILE) for folder in (self._here, *self._here.parents)]
        folders = (each for each in witness.looked_into if Path(each).name != "__pycache__")
        paths = dict.fromkeys((*modules, *witness.opened, *folders, *settings))
        return None if len(paths) > MOST_FILES else {path: state_of(path) for path in paths}

    def _folder(self) -> Path:
        return self._cache() / "listed"

    def _keep(self, content: dict[str, Any]) -> None:
        folder = self._folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        draft = folder / f"{self._name}.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump({**content, "seal": _seal(content)}, file)
            draft.replace(folder / self._name)
        finally:
            draft.unlink(missing_ok=True)
        _forget_oldest(folder.iterdir())


def _seal(content: dict[str, Any]) -> str:
    """A digest by which one sees that nothing is missing: the disk may have been full, or the machine switched off."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _read(path: Path) -> bytes:
    """A file of ours. Raises `OSError` for anything else: a pipe would be waited for, a link followed."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise OSError(f"{path} is none of our files")
        return file.read()


def _forget_oldest(files: Iterable[Path]) -> None:
    """Leave the newest lists, and the drafts that somebody may be writing."""
    newest = sorted(files, key=lambda each: each.lstat().st_mtime_ns, reverse=True)
    for each in newest[MOST:]:
        each.unlink(missing_ok=True)
