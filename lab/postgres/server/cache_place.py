"""Where the cache is: what is slow to make or to learn, and can be made or learnt anew, lies there."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

import platformdirs

from lab.errors import ServerError

__all__ = ["cache_folder", "open_to_all"]

APPLICATION = "concurrency-lab"


def cache_folder() -> Path:
    """The user's cache, or the machine's for root; a folder of this user alone where neither can be used.

    Raises `ServerError` and `OSError`.
    """
    root = os.geteuid() == 0
    find = platformdirs.site_cache_path if root else platformdirs.user_cache_path
    folder = find(APPLICATION, appauthor=False)
    with contextlib.suppress(OSError):
        if folder.is_absolute():  # it is not where nobody knows of a home
            folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            if _is_ours(folder) and _let_pass(folder) and os.access(folder, os.W_OK | os.X_OK):
                return folder
    folder = Path(tempfile.gettempdir(), f"{APPLICATION}-{os.geteuid()}")
    if root and not all(map(open_to_all, folder.parents)):
        folder = Path("/tmp", folder.name)  # noqa: S108 - what belongs to somebody else is refused below
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o755)
    if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.geteuid():
        raise ServerError(f"{folder} is not a folder of this user, and no other cache folder can be written")
    folder.chmod(0o755)
    return folder


def _is_ours(folder: Path) -> bool:
    """Whether a folder belongs to this user, and nobody else writes to it."""
    status = folder.stat()
    return status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o022


def _let_pass(folder: Path) -> bool:
    """Whether the server's account passes through a folder of ours; it is let through where only that is missing."""
    if os.geteuid() != 0:
        return True
    if not open_to_all(folder):
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o111)
    return all(map(open_to_all, folder.resolve().parents))


def open_to_all(folder: Path) -> bool:
    """Whether everybody may pass through a folder."""
    return bool(folder.stat().st_mode & stat.S_IXOTH)
