"""What a hunt rests on beside its job: versions, the scenario's source, and the process that hunts."""

from __future__ import annotations

import hashlib
import inspect
import os
import platform
import socket
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.scenario.registry import resolve

__all__ = ["is_alive", "source_of", "this_process", "versions"]

_DISTRIBUTIONS = {"lab": "concurrency-lab", "sqlalchemy": "SQLAlchemy", "asyncpg": "asyncpg"}


def versions(postgresql: str = "") -> dict[str, str]:
    """Of the lab, Python, the libraries and the server; "" for what is not known."""
    return {
        **{name: _version(each) for name, each in _DISTRIBUTIONS.items()},
        "python": platform.python_version(),
        "postgresql": postgresql,
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def source_of(target: str) -> str:
    """A digest of the source of the module that holds a scenario; "" where there is none."""
    try:
        file = inspect.getsourcefile(resolve(target))
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file else ""
    except (OSError, TypeError, LabError):
        return ""


def this_process() -> dict[str, Any]:
    """By what it can be told whether this process is still there."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "begun": _begun(pid)}


def is_alive(process: Mapping[str, Any]) -> bool:
    """Whether a process is there. Of one on another machine nobody can say; it counts as gone."""
    pid = process.get("pid")
    if process.get("host") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(_begun(pid) == process.get("begun"))


def _begun(pid: int) -> str:
    """When a process began, in the kernel's ticks, so that another one of its number is not taken for it.

    "dead" for one of which only the number is left, "" where there is no such file.
    """
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "dead" if state in "ZX" else others[18]
    except (OSError, IndexError, ValueError):
        return ""
