"""The engines of an application, as its loaded modules have them."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["engines_of"]


def engines_of(packages: Iterable[str]) -> list[tuple[str, str]]:
    """(module, name) of each engine that is a variable of a loaded module; the shortest module name for each."""
    tops, found = set(packages), dict[int, tuple[str, str]]()
    for module in sorted((each for each in sys.modules if each.partition(".")[0] in tops), key=len):
        for name, value in list(vars(sys.modules[module]).items()):
            if isinstance(value, AsyncEngine):
                found.setdefault(id(value), (module, name))
    return list(found.values())
