"""What a process runs, so that two machines can be held against each other: the lab, what it stands on, the scenario.

Results from a worker with other code would be results of something else, and nobody would see it.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import lab
from lab.scenario.sources import files_of

__all__ = ["difference", "identity"]

STANDS_ON = ("SQLAlchemy", "asyncpg", "greenlet")
"""What decides about the order of statements, beside the lab. The server's version is given with the hunt."""


def identity(target: str) -> dict[str, str]:
    """Name of a part -> its version, or the digest of its source; "" for a module that is not there.

    The source of a scenario is all of the top-level package or module that holds it: its models are in there, too.
    """
    module = target.partition(":")[0].partition(".")[0]
    return {**_of_lab(), f"module {module!r}": _source(module)}


def difference(mine: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """What a worker lacks, or has in another version, after "the dask worker …"; "" if all is as expected."""
    for name, there in expected.items():
        here = mine.get(name, "")
        if not here:
            return f"has no {name}"
        if here != there:
            source = name == "lab" or name.startswith("module ")
            return f"has another version of {name}" + ("" if source else f": {here}, and here is {there}")
    return ""


@functools.cache
def _of_lab() -> Mapping[str, str]:
    python = ".".join(map(str, sys.version_info[:2]))
    place = Path(lab.__file__)
    return {"lab": _digest("lab", place), "Python": python, **{name: version(name) for name in STANDS_ON}}


@functools.cache
def _source(module: str) -> str:
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    return "".join(_digest(module, Path(each)) for each in places) or "built in"


def _digest(module: str, place: Path) -> str:
    digest = hashlib.sha256()
    for name, file in files_of(module, place):
        text = file.read_bytes()
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()[:16]
