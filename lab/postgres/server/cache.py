"""Folders that are slow to make, kept in a cache: made once, whole or not at all, and made anew when damaged.

Beside each folder lies a list of what was in it: kind, mode, owner, size and time of the last change of every file. A
full disk, a machine that was switched off, a cleaner of old files or a curious hand damage a cache, and a server on a
damaged template fails in ways that say nothing of the cause. Reading a list and asking for the state of a thousand
files takes a few milliseconds; reading their contents would take longer than all the rest of a start. So what a list
cannot show is noticed by whoever uses the folder in vain, and asks for a renewed one.

Anything may stand where a file of ours should be. Nothing here waits for one (a FIFO), follows one (a link) or stops at
one (a folder): it is taken away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["kept", "renewed", "stamp"]

NO_LOCK = frozenset({errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM})
"""What opening says of a folder, a link, a socket, and a file that we may not write."""
REPLACED = 100
"""How often a lock may be replaced while we wait for it; a file system that says so for ever has no working locks."""


def kept(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made by `make` in an empty one if it is missing or damaged. Raises `OSError`.

    Of several processes that need it at once, one makes it and the others wait. One that is killed meanwhile leaves a
    draft; only who holds the lock makes drafts, so whoever holds it next knows that those there are abandoned.
    """
    if _is_whole(folder):
        return folder
    with _locked(folder):
        if not _is_whole(folder):
            with _made(folder, make):
                pass
    return folder


@contextlib.contextmanager
def renewed(folder: Path, make: Callable[[Path], None], seen: tuple[int, int] | None) -> Iterator[Path]:
    """One made anew, for the time of a block; it takes the place of `folder` if the block succeeds. Raises `OSError`.

    `seen` is the stamp of the folder that was of no use. Where somebody else has replaced that one, theirs is given.
    Until the block has shown that the new one is better, those who use the old one are not disturbed.
    """
    with _locked(folder):
        if stamp(folder) != seen and _is_whole(folder):
            yield folder
        else:
            with _made(folder, make) as new:
                yield new


def stamp(folder: Path) -> tuple[int, int] | None:
    """What a folder has in common with none that was or will be in its place; None where there is none."""
    try:
        status = folder.lstat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


@contextlib.contextmanager
def _made(folder: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """A draft made by `make`, which takes the place of `folder` after the block. The caller holds the lock."""
    _remove_drafts(folder)
    draft = Path(tempfile.mkdtemp(prefix=f"{folder.name}.draft-", dir=folder.parent))
    try:
        make(draft)
        yield draft
        text = _listed(draft)
        _clear(folder, folder)
        _write(folder, text)
        draft.rename(folder)
    finally:
        _remove_drafts(folder)


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f"{folder.name}.{what}")


def _is_whole(folder: Path) -> bool:
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return False
        right = _listed(folder).encode()
        with os.fdopen(os.open(_beside(folder, "list"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.read(len(right) + 1) == right
    except OSError:
        return False


def _listed(folder: Path) -> str:
    """Every entry of a folder with its kind, mode, owner, size and time, and a sum over it all. Raises `OSError`."""
    itself = folder.lstat()
    lines = [json.dumps(("", itself.st_mode, itself.st_uid, 0, 0))]
    lines += [json.dumps(each) for each in sorted(_entries(str(folder), ""))]
    text = "\n".join(lines)
    return f"{text}\n{hashlib.sha256(text.encode()).hexdigest()}\n"


def _entries(folder: str, inside: str) -> Iterator[tuple[str, int, int, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{inside}{entry.name}"
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                yield name, status.st_mode, status.st_uid, 0, 0
                yield from _entries(entry.path, f"{name}/")
            else:
                yield name, status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns


def _write(folder: Path, text: str) -> None:
    """Replace the list of a folder at once, so that no half of it is ever read."""
    descriptor, draft = tempfile.mkstemp(prefix=f"{folder.name}.draft-", dir=folder.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    path = _beside(folder, "list")
    if path.is_dir() and not path.is_symlink():
        _clear(path, folder)
    Path(draft).rename(path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, waiting for whoever holds it now. Raises `OSError`."""
    path = _beside(folder, "lock")
    for _ in range(REPLACED):
        held = _opened(path, folder)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            if _is_same(path, held):
                yield
                return
        finally:
            os.close(held)
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))


def _is_same(path: Path, held: int) -> bool:
    """Whether a file that was opened is still the one of that name."""
    with contextlib.suppress(OSError):
        return os.path.samestat(path.lstat(), os.fstat(held))
    return False


def _opened(path: Path, folder: Path) -> int:
    """Open the file of a lock; what stands in its place and can be none is taken away."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        held = os.open(path, flags, 0o600)  # a lock that others may open is one that they may hold
        if stat.S_ISREG(os.fstat(held).st_mode):
            return held
        os.close(held)
    except OSError as error:
        if error.errno not in NO_LOCK:
            raise
    parent = os.open(folder.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system whose folders have no locks
            fcntl.flock(parent, fcntl.LOCK_EX)
        if not (_is_regular(path) and os.access(path, os.R_OK | os.W_OK)):  # nobody has mended it meanwhile
            _clear(path, folder)
        return os.open(path, flags, 0o600)
    finally:
        os.close(parent)


def _is_regular(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def _clear(path: Path, folder: Path) -> None:
    """Take away whatever has this name; of a link, not what it leads to. Raises `OSError`.

    What cannot be removed, as the files of somebody else, stays as a draft of `folder`.
    """
    aside = folder.with_name(f"{folder.name}.draft-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
        _remove(aside)


def _remove_drafts(folder: Path) -> None:
    for draft in folder.parent.glob(f"{folder.name}.draft-*"):
        _remove(draft)


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder as far as that goes."""
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
        if os.geteuid() != 0:  # root needs no permission
            _open_up(str(path))
        shutil.rmtree(path, ignore_errors=True)


def _open_up(folder: str) -> None:
    """Let ourselves into every folder below one of our own."""
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700)  # noqa: PTH101 - scandir gives names
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _open_up(entry.path)
