"""Rows that a statement was seen to write: between two of them the same statement can be paused another time.

That is for statements whose construct does not say which rows they will meet: text SQL, a multi-row INSERT, an
`executemany`, a COPY, functions and triggers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Met", "MetRow", "MetRows", "notices_pauses", "statement_key"]

_NOTICES = re.compile(r"\b(?:NOWAIT|SKIP\s+LOCKED|lock_timeout|statement_timeout)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MetRow:
    """A row of a table. `quoted`, `key` (the primary key's columns) and `columns` are for SQL, `name` for people.

    `values` is the whole row as a JSON object.
    """

    quoted: str
    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    values: str
    text: str


@dataclass(frozen=True, slots=True)
class Met:
    """A statement with two rows or more, in the order in which it wrote them."""

    rows: tuple[MetRow, ...]


MetRows = Mapping[tuple[str, str], Met]
"""By the statement and its parameters, as `statement_key` makes it."""


def statement_key(text: str, parameters: object) -> tuple[str, str]:
    """What a statement is known by, and its parameters with it."""
    return text, repr(parameters or ())


def notices_pauses(text: str) -> bool:
    """Whether a statement, or the source of a function, would notice that it waits between two rows."""
    return bool(_NOTICES.search(text))
