"""Code of several statements that is sent as one: a block, a procedure, a function, several statements in one text.

At READ COMMITTED each of them has a snapshot of its own, so what others commit in between shows. So it is with a query
that calls a volatile function that reads: the function does not see what the query sees. The lab pauses such code where
it comes to a row that it writes. Where a later statement only reads, nothing stops it, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from lab.model.comments import without_comments
from lab.postgres.statements.words import NAME, last_of

__all__ = ["called_in", "closed", "mentioned_in", "reads", "reads_beside", "reads_later", "reads_rows"]

_DATA = re.compile(
    r"\b(?:select|perform|insert|update|delete|merge|execute|call|copy|fetch|commit)\b(?!\s+of\b)", re.IGNORECASE
)
_READS = re.compile(
    r"\b(?:select|perform|execute|call|fetch)\b|(?:^|;|:=)\s*table\b|(?<!\bdelete )(?<!\bdistinct )\bfrom\b",
    re.IGNORECASE,
)
"""PL/pgSQL takes any expression for a query: `n := count(*) FROM account`."""
_FROM_WITHIN = re.compile(
    r"\b(?:extract|substring|trim|overlay|position)\s*\([^()]*|^\s*copy\b.*", re.IGNORECASE | re.DOTALL
)
"""Where FROM names no rows that are read."""
_SOURCE = re.compile(
    rf"\b(?:from|join|using|update|table)\s+(?:only\s+|lateral\s+)?((?:{NAME}\s*\.\s*)*{NAME})", re.IGNORECASE
)
_WRITTEN = re.compile(r"\b(?:delete\s+from|update)\b", re.IGNORECASE)
_DYNAMIC = re.compile(r"\bexecute\b", re.IGNORECASE)
_CALL = re.compile(rf"({NAME})\s*\(")
_OPERATOR = re.compile(r"[-+*/<>=~!@#%^&|`?]+")
_CAST = re.compile(rf"(?:::|\bas\b)\s*((?:{NAME}\s*\.\s*)*{NAME})")
_FIELD = re.compile(rf"\.\s*({NAME})")


def called_in(text: str) -> frozenset[str]:
    """The names before a parenthesis, in small letters: functions, and words of SQL."""
    return frozenset(_calls(text))


@lru_cache(maxsize=2000)
def mentioned_in(text: str) -> frozenset[str]:
    """The same and what runs a function without a parenthesis: `@+`, the cast to a type `::name`, the field `.name`."""
    small = text.lower()
    casts = (f"::{last_of(name)}" for name in _CAST.findall(small))
    fields = ("." + name.strip('"') for name in _FIELD.findall(small))
    return frozenset((*_calls(text), *_OPERATOR.findall(small), *casts, *fields))


def _calls(text: str) -> list[str]:
    return [name.strip('"') for name in _CALL.findall(text.lower())]


def reads(text: str) -> bool:
    """Whether code has a statement that reads, or may."""
    return _has_a_read(without_comments(text))


def _has_a_read(part: str) -> bool:
    return bool(_READS.search(_FROM_WITHIN.sub("", " ".join(part.split()))))


@lru_cache(maxsize=2000)
def reads_beside(text: str, reading: frozenset[str]) -> bool:
    """Whether a statement calls one of these functions twice, or once and has other sources of rows."""
    calls = [name for name in _calls(text) if name in reading]
    return len(calls) > 1 or (bool(calls) and not reading.issuperset(_sources(text)))


def reads_rows(source: str, names: Collection[str]) -> bool:
    """Whether code reads rows of these relations, or may."""
    return bool(_DYNAMIC.search(source)) or not _sources(_WRITTEN.sub("", source)).isdisjoint(names)


def _sources(text: str) -> set[str]:
    """What rows come from, in small letters and without a schema."""
    return set(map(last_of, _SOURCE.findall(text)))


@lru_cache(maxsize=2000)
def reads_later(text: str) -> bool:
    """Whether code has a statement that reads after another one."""
    parts = [part for part in without_comments(text).split(";") if _DATA.search(part) or _has_a_read(part)]
    return any(map(_has_a_read, parts[1:]))


def closed(sources: Mapping[str, str], names: Iterable[str]) -> frozenset[str]:
    """These functions and all that call one of them. `sources`: name -> its code."""
    found = set(names)
    calls = {name: mentioned_in(source) for name, source in sources.items()}
    while more := {name for name, called in calls.items() if name not in found and not found.isdisjoint(called)}:
        found |= more
    return frozenset(found)
