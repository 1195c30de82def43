"""Temporary folders that say whether their owner still lives, so that those of a killed one can be removed.

Neither a name nor an age proves that a folder is abandoned. A lock does: whoever made a folder holds a lock on it as
long as it lives (`flock` on the folder itself; the kernel lets go when the last process that inherited it is gone,
however it ends), and leaves a note in it once the lock is held. So a folder with our note and without a lock belongs to
nobody any more. A folder without the note is never touched: it is somebody else's, or its maker is just about to lock
it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["PREFIX", "RUN", "owned_folder", "remove_abandoned"]

PREFIX = "lab-"
RUN = f"{PREFIX}run-"
"""Of the folders in which the processes of one pytest-xdist run meet."""
NOTE = "owner"
TEXT = "made by concurrency-lab, which holds a lock on this folder as long as it is in use\n"


def owned_folder(base: str | Path, prefix: str = PREFIX) -> tuple[Path, int]:
    """A new folder and the descriptor that holds its lock. Raises `OSError`.

    The folder counts as abandoned when the descriptor, and every one inherited from it, is closed.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    held = -1
    try:
        held = os.open(folder, os.O_RDONLY)
        with contextlib.suppress(OSError):  # a file system without such locks: then nothing in it is ever removed
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / NOTE).write_text(TEXT)
    except BaseException:
        if held >= 0:
            os.close(held)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder, held


def remove_abandoned(bases: Iterable[str | Path], prefix: str = PREFIX) -> list[Path]:
    """Remove the folders of ours whose owner is gone; returns them. What cannot be removed stays, without a word."""
    removed = []
    for folder in _candidates(bases, prefix):
        with contextlib.suppress(OSError), _unused(folder):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
    return removed


def _candidates(bases: Iterable[str | Path], prefix: str) -> Iterator[Path]:
    for base in {os.path.realpath(each) for each in bases}:
        with contextlib.suppress(OSError), os.scandir(base) as entries:
            for entry in entries:
                if entry.name.startswith(prefix) and entry.is_dir(follow_symlinks=False) and _is_ours(Path(entry.path)):
                    yield Path(entry.path)


def _is_ours(folder: Path) -> bool:
    try:
        return folder.stat().st_uid == os.geteuid() and (folder / NOTE).read_text() == TEXT
    except (OSError, UnicodeDecodeError):
        return False


@contextlib.contextmanager
def _unused(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder that nobody else holds. Raises `OSError` where somebody does."""
    held = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)
