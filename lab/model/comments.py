"""Comments in SQL: where a tool writes one before a statement or behind it, the statement is what it was."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["AHEAD", "BEHIND", "without_comments"]

_COMMENT = r"--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/"
"""It ends where its line does: else a line of dashes could be cut up in countless ways."""
AHEAD = rf"(?:\s|{_COMMENT})*"
"""A pattern: what may stand before the first word of a statement."""
BEHIND = rf"(?:\s|;|{_COMMENT})*$"
"""A pattern: what may stand behind the last word."""
_ANY = re.compile(_COMMENT)


@lru_cache(maxsize=2000)
def without_comments(text: str) -> str:
    """The same with a blank for each comment; what looks like one within quotes is taken for one."""
    return _ANY.sub(" ", text)
