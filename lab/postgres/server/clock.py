"""A clock for the embedded server that the lab can move: libfaketime, where the extra `clock` is installed.

The library stands before the C library in `postgres` alone, and adds to the machine's time what stands in a file, which
it reads each time that somebody looks at the clock. So a new number there is at once what `now()` shows in every
session. Monotonic clocks stay real: the server's own sleeps rest on them.

One file for a server, so a server whose clock is moved serves one process: each other gets a server of its own.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import stat
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from lab.postgres.server.cache import kept
from lab.postgres.server.cache_place import cache_folder
from lab.postgres.server.install import Account

__all__ = ["SWITCH", "MovedClock", "clock_library", "installed_library"]

PACKAGE = "libfaketime"
INSIDE = Path("vendor", "libfaketime", "src", "libfaketime.so.1")
SWITCH = "LAB_SERVER_CLOCK"
"""The environment variable that says `own` where the server's clock is to stay the machine's."""
LINK, FILE = "clock.so", "clock"
AHEAD = 3600
"""Seconds by which a server starts in the future: what it says of the time then shows whether its clock is moved."""
NEAR = 60
"""Seconds that may lie between what a server says and when that is read."""
FORMAT = "2"


def installed_library() -> Path | None:
    """The library of the extra; None where it is not installed, or not wanted."""
    if os.environ.get(SWITCH) == "own" or sys.platform != "linux":
        return None
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    library = Path(found.origin).parent / INSIDE
    return library if library.is_file() else None


def clock_library(account: Account) -> Path | None:
    """The library of the extra where that account can read it, if there is one. Raises `OSError`."""
    library = installed_library()
    if library is None:
        return None
    if account.user is None or (account.reaches(library.parent) and library.stat().st_mode & stat.S_IROTH):
        return library

    def copy(folder: Path) -> None:
        folder.chmod(0o755)
        shutil.copyfile(library, folder / library.name)
        (folder / library.name).chmod(0o644)

    status = library.stat()
    return kept(cache_folder() / f"clock-{status.st_size}-{status.st_mtime_ns}-{FORMAT}", copy) / library.name


class MovedClock:
    """The clock of one server, in the folder of that server."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file, self._next = str(folder / FILE), str(folder / f"{FILE}.next")
        (folder / LINK).symlink_to(library)
        self.run_ahead(AHEAD * 1_000_000)

    @property
    def environment(self) -> Mapping[str, str]:
        """What the server is started with, in its folder: the loader takes no blanks and no colons in a path."""
        return {
            "LD_PRELOAD": f"./{LINK}",
            "FAKETIME_TIMESTAMP_FILE": self._file,
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def run_ahead(self, microseconds: int) -> None:
        """From now on show the machine's time and so much more; less where it is negative.

        The file is replaced, so that whoever reads it meanwhile reads the one number or the other.
        """
        seconds, rest = divmod(abs(microseconds), 1_000_000)
        descriptor = os.open(self._next, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.fchmod(descriptor, 0o644)  # the server's account may be another
            os.write(descriptor, f"{'-' if microseconds < 0 else '+'}{seconds}.{rest:06}\n".encode())
        finally:
            os.close(descriptor)
        os.replace(self._next, self._file)  # noqa: PTH105 - it is called in each execution

    def is_moved(self, said: str) -> bool:
        """Whether a server that has just started, and said this time in seconds since 1970, runs by this clock."""
        with contextlib.suppress(ValueError):
            return abs(float(said) - time.time() - AHEAD) < NEAR
        return False
