"""The words and names in a text of SQL, by what they look like."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["NAME", "last_of", "words_of"]

NAME = r'(?:"[^"]+"|[^\W\d][\w$]*)'
"""A pattern: a word, or a name in quotes."""
_NAME = re.compile(NAME)
_UNICODE = re.compile(r'\bu&"([^"]+)"', re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:([0-9a-f]{4})|\+([0-9a-f]{6}))", re.IGNORECASE)


@lru_cache(maxsize=2000)
def words_of(text: str) -> frozenset[str]:
    """The words and names, in small letters and without quotes."""
    return frozenset(each.strip('"') for each in _NAME.findall(_UNICODE.sub(_written_out, text).lower()))


def _written_out(name: re.Match[str]) -> str:
    return _ESCAPE.sub(lambda code: chr(int(code[1] or code[2], 16)), f'"{name[1]}"')


def last_of(name: str) -> str:
    """The last part of a name of several, in small letters and without quotes: `account` of `"bank"."Account"`."""
    *_, last = _NAME.findall(name.lower()) or [name]
    return str(last).strip('"')
