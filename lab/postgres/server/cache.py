"""Folders that are slow to make, kept in a cache: made once, whole or not at all, and made anew when damaged.

Beside each folder lies a list of what was in it: the size and the time of the last change of every file. A full disk,
a machine that was switched off, a cleaner of old files or a curious hand damage a cache, and a server on a damaged
template fails in ways that say nothing of the cause. Reading a list and asking for the state of a thousand files takes
a few milliseconds; reading their contents would take longer than all the rest of a start.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.postgres.server.folders import locked

__all__ = ["kept"]


def kept(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made by `make` in an empty one if it is missing or damaged. Raises `OSError`.

    Of several processes that need it at once, one makes it and the others wait. One that is killed meanwhile leaves a
    draft; only who holds the lock makes drafts, so whoever holds it next knows that those there are abandoned.
    """
    if _is_whole(folder):
        return folder
    with locked(_beside(folder, "lock")):
        if _is_whole(folder):
            return folder
        for draft in folder.parent.glob(f"{folder.name}.draft-*"):
            shutil.rmtree(draft, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.draft-", dir=folder.parent))
        try:
            make(draft)
            if folder.exists():
                folder.rename(draft.with_name(f"{draft.name}-damaged"))
            _write(_beside(folder, "list"), _listed(draft))
            draft.rename(folder)
        finally:
            for each in folder.parent.glob(f"{folder.name}.draft-*"):
                shutil.rmtree(each, ignore_errors=True)
    return folder


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f"{folder.name}.{what}")


def _is_whole(folder: Path) -> bool:
    try:
        return _beside(folder, "list").read_text() == _listed(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _listed(folder: Path) -> str:
    """Every entry below a folder with its mode, size and time, and a sum over it all. Raises `OSError`."""
    lines = [json.dumps(each) for each in sorted(_entries(str(folder), ""))]
    text = "\n".join(lines)
    return f"{text}\n{hashlib.sha256(text.encode()).hexdigest()}\n"


def _entries(folder: str, inside: str) -> Iterator[tuple[str, int, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{inside}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield name, 0, 0, 0
                yield from _entries(entry.path, f"{name}/")
            else:
                status = entry.stat(follow_symlinks=False)
                yield name, stat.S_IMODE(status.st_mode), status.st_size, status.st_mtime_ns


def _write(path: Path, text: str) -> None:
    """Replace a file at once, so that no half of it is ever read."""
    draft = path.with_name(f"{path.name}.draft")
    try:
        draft.write_text(text)
        draft.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
