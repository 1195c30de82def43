"""Texts of the user's as a page shows them: made harmless, folded where they are long, SQL with its words marked."""

from __future__ import annotations

import re
from functools import lru_cache

from lab.errors import printable

__all__ = ["LONG", "MOST", "harmless", "marked_sql", "pieces", "shortly"]

LONG = 600
"""Characters of a value that are shown at once."""
MOST = 20_000
"""Characters that a page holds of one value: with a value of ten million nobody could open it."""
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]|[\ud800-\udfff]")
"""What turns the direction of text around, so that it reads as something else; other ends of lines; half characters."""


def harmless(text: str) -> str:
    """A text in which control characters and what turns the direction of reading are shown as escapes."""
    return _TURNS.sub(lambda found: f"\\u{ord(found[0]):04x}", printable(text))


def pieces(value: object) -> tuple[str, str, str]:
    """What is shown at once, what is shown on demand, and how long the whole is: "" for what is not long."""
    text = str(value)
    if len(text) <= LONG:
        return harmless(text), "", ""
    length = f"{len(text):,} characters"
    if len(text) > MOST:
        length += f", of which the page has {MOST:,}"
    return harmless(text[:LONG]), harmless(text[LONG:MOST]), length


def shortly(value: object) -> str:
    """A text of one line, of which only the beginning is shown."""
    first, _, length = pieces(value)
    return f"{first}… ({length})" if length else first


@lru_cache(maxsize=512)
def marked_sql(text: str) -> tuple[tuple[str, str], ...]:
    """SQL in stretches: what each is ("k" a keyword, "n" a number, "s" a string, "" anything else), and its text."""
    from pygments.lexers.sql import PostgresLexer  # noqa: PLC0415 - loaded when a page is written
    from pygments.token import Keyword, Number, String  # noqa: PLC0415

    kinds = ((Keyword, "k"), (Number, "n"), (String, "s"))
    found: list[tuple[str, str]] = []
    for token, part in PostgresLexer(stripnl=False, ensurenl=False).get_tokens(text):
        kind = next((name for each, name in kinds if token in each), "")
        if found and (found[-1][0] == kind or not part.strip()):
            kind, part = found[-1][0], found.pop()[1] + part  # noqa: PLW2901 - it is one stretch with the one before
        found.append((kind, part))
    return tuple(found)
