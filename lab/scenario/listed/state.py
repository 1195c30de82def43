"""The state of files and folders as one can compare it later: of all that a list of scenarios depends on.

A file of a library is known by its size, its times and its number on the disk: nobody writes to it without leaving a
later time of change. One of the project is known by its content as well. A folder is known by the names in it, but for
hidden ones, so that a module that comes into it, and would be found before another, is noticed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from importlib.machinery import BuiltinImporter, ExtensionFileLoader, FrozenImporter, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["State", "changed_since", "circumstances", "files_of_modules", "state_of"]

State = list[Any] | None
"""Of a file or folder; None where there is none."""

_BOOKKEEPING = {"_", "SHLVL", "OLDPWD", "COLUMNS", "LINES"}
"""What a shell changes from command to command, and no module reads for what it declares."""
_FILES = (SourceFileLoader, ExtensionFileLoader)


def state_of(name: str) -> State:
    """The state of one. Raises `OSError` where it cannot be read."""
    path = Path(name)
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(status.st_mode):
        if _is_library(name):
            return ["folder", status.st_mtime_ns, status.st_ino]
        names = sorted(each.name for each in path.iterdir() if not each.name.startswith((".", "__pycache__")))
        return ["folder", _digest("\0".join(names).encode(errors="surrogateescape"))]
    if not stat.S_ISREG(status.st_mode) and name != os.devnull:
        raise OSError(f"{name} is not a regular file")
    known = ["file", status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    return known if _is_library(name) else [*known, _digest(path.read_bytes())]


def changed_since(states: Iterable[State], began: int) -> bool:
    """Whether a file was, or may have been, changed at that time or later, in nanoseconds since 1970."""
    return any(state[0] == "file" and max(state[2:4]) >= began for state in states if state is not None)


def files_of_modules(modules: Mapping[str, ModuleType | None]) -> list[str] | None:
    """The files of imported modules, and the folders in which these lie; None if the code of one is not in a file."""
    found: dict[str, None] = {}
    for module in modules.values():
        spec = getattr(module, "__spec__", None)
        if spec is None or spec.loader in (BuiltinImporter, FrozenImporter):
            continue  # what libraries make up has no file of its own, but they do
        if spec.origin is None:
            found.update(dict.fromkeys(spec.submodule_search_locations or ()))
        elif type(spec.loader) in _FILES:
            found[spec.origin] = found[str(Path(spec.origin).parent)] = None
        elif spec.origin not in {"built-in", "frozen"}:
            return None
    return list(found)


def circumstances() -> str:
    """A digest of what modules may ask besides files: interpreter, search path, environment, machine, user, folder."""
    asked = (sys.version, sys.executable, sys.flags, sys.path, str(Path.cwd()), os.uname(), os.getuid())
    variables = sorted(each for each in os.environ.items() if each[0] not in _BOOKKEEPING)
    return _digest(repr((asked, variables)).encode(errors="backslashreplace"))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_library(path: str) -> bool:
    return path.startswith(_LIBRARIES)


_LIBRARIES = tuple({f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib", "purelib", "platlib")})
