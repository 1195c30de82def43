"""Code of several statements that is sent as one: a block, a procedure, a function, several statements in one text.

At READ COMMITTED each of them has a snapshot of its own, so what others commit in between shows. The lab pauses such
code where it comes to a row that it writes. Where a later statement only reads, nothing stops it, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

__all__ = ["called_in", "closed", "reads_later"]

_DATA = re.compile(
    r"\b(?:select|perform|insert|update|delete|merge|execute|call|copy|fetch|commit)\b(?!\s+of\b)", re.IGNORECASE
)
_READS = re.compile(r"\b(?:select|perform|execute|call|fetch)\b", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_CALL = re.compile(r'([a-z_][a-z0-9_$]*)"?\s*\(')


def called_in(text: str) -> frozenset[str]:
    """The names before a parenthesis, in small letters: functions, and words of SQL."""
    return frozenset(_CALL.findall(text.lower()))


@lru_cache(maxsize=2000)
def reads_later(text: str) -> bool:
    """Whether code has a statement that reads after another one."""
    parts = [part for part in _COMMENT.sub(" ", text).split(";") if _DATA.search(part)]
    return any(map(_READS.search, parts[1:]))


def closed(sources: Mapping[str, str], names: Iterable[str]) -> frozenset[str]:
    """These functions and all that call one of them. `sources`: name -> its code."""
    found = set(names)
    calls = {name: called_in(source) for name, source in sources.items()}
    while more := {name for name, called in calls.items() if name not in found and not found.isdisjoint(called)}:
        found |= more
    return frozenset(found)
