"""A scheduler as bytes, so that a search goes on where it was in another process.

What a scheduler knows is what its executions taught it, and to learn that again they would have to be made again. So it
is pickled between two executions. A pickle may name anything that Python can call; this one is read from a file that
others may have written, so only what schedulers are made of is taken: classes of the lab's that hold values, and some
containers (https://docs.python.org/3/library/pickle.html#restricting-globals).
"""

from __future__ import annotations

import io
import pickle
from enum import Enum, EnumType
from pkgutil import resolve_name
from typing import Any

from lab.schedulers import Scheduler

__all__ = ["frozen", "thawed"]

_ROOMS = ("lab.schedulers.", "lab.model.", "lab.analysis.")
_OTHERS = frozenset(
    {
        ("builtins", "frozenset"),
        ("builtins", "object"),
        ("builtins", "set"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("collections", "deque"),
        ("datetime", "datetime"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("random", "Random"),
        ("sqlalchemy.sql.elements", "quoted_name"),  # a text; names in footprints are some
        ("builtins", "list"),  # what a defaultdict begins with
        ("builtins", "dict"),
        ("builtins", "int"),
    }
)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A class that may be there. Raises `UnpicklingError`."""
        if (module, name) == ("builtins", "getattr"):  # members of enumerations, before Python 3.11.4
            return _member
        if (module, name) in _OTHERS:
            return super().find_class(module, name)
        if module.startswith(_ROOMS) and isinstance(found := resolve_name(f"{module}:{name}"), type):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a scheduler")


def _member(cls: Any, name: str) -> Enum:
    """A member of an enumeration. Raises `UnpicklingError` for an attribute of anything else."""
    if not isinstance(cls, EnumType):
        raise pickle.UnpicklingError(f"{name} of {cls!r} is no part of a scheduler")
    return cls[name]


def frozen(scheduler: Scheduler) -> bytes:
    """A scheduler between two executions; nothing for one that holds what cannot be written."""
    try:
        return pickle.dumps(scheduler, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, TypeError, AttributeError):
        return b""


def thawed(held: bytes) -> Scheduler | None:
    """From what `frozen` gave; None for anything else."""
    try:
        found = _Reader(io.BytesIO(held)).load()
    except Exception:  # noqa: BLE001 - whatever bytes may be there: the search then begins anew, and says so
        return None
    return found if isinstance(found, Scheduler) else None
