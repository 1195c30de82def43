"""The query by which a statement finds its rows, as a text that can be asked again; "" where there is none that may be.

Of a SELECT that is itself without its row locks, of an INSERT its SELECT, of an UPDATE or DELETE the rows that its
condition matches. Asked again it must do nothing but read tables: no function that is not PostgreSQL's and steady, and
no row that was skipped since somebody held it. Chance may stand beside what it shows, and rest on nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from lab.model.comments import AHEAD
from lab.postgres.statements.tame import is_tame

__all__ = ["Query", "query_in"]

_AHEAD = re.compile(AHEAD)
_PART = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|\(|\)|[a-z_][a-z0-9_]*|\$\d+", re.IGNORECASE)
_LOCKS = re.compile(
    r"\s+FOR\s+(?:NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)(?:\s+OF\s+[\w\", ]+?)?(?:\s+NOWAIT)?\s*$", re.IGNORECASE
)
_NEVER = re.compile(
    r"\b(?:SKIP|INTO|TABLESAMPLE|localtime\w*|age)\b|\bFOR\s+(?:NO|UPDATE|KEY|SHARE)\b|--|/\*|\$\$|\bE'", re.IGNORECASE
)
_CHANCE = re.compile(r"\b(?:clock_timestamp|timeofday|random\w*|gen_random_uuid|uuidv\d)\b", re.IGNORECASE)
_DIFFERS = re.compile(rf"{_CHANCE.pattern}|\b(?:now|current_\w+|\w+_timestamp)\b", re.IGNORECASE)
_CHANGES = re.compile(r"\b(?:INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\$(\d+)")


class Query:
    """A query as a text, with placeholders from 1."""

    __slots__ = ("differs", "places", "text", "whole")

    def __init__(self, text: str, *, whole: bool) -> None:
        """`whole`: it is the whole statement, so that its answer was seen."""
        numbers = list(dict.fromkeys(int(each) for each in _PLACEHOLDER.findall(text)))
        self.places = tuple(number - 1 for number in numbers)
        """Which of the statement's parameters they stand for."""
        self.text = _PLACEHOLDER.sub(lambda found: f"${numbers.index(int(found[1])) + 1}", text)
        self.whole = whole
        self.differs = bool(_DIFFERS.search(text))
        """Columns of its answer may hold the moment, or chance."""


def query_in(text: str, functions: Collection[str], keys: Mapping[str, Collection[str]]) -> Query | None:
    """The query in a statement. `functions` are those that do no more than touch relations; `keys` of tables."""
    text = _AHEAD.sub("", text, count=1).strip().rstrip(";")
    first = text.split(maxsplit=1)[0].upper() if text else ""
    if first in ("SELECT", "WITH"):
        found, whole = _LOCKS.sub("", text), True
    else:
        found, whole = _within(text, first, keys), False
    if _CHANCE.search(found[_shown(found) :]) or _NEVER.search(found):
        return None
    if not found or _CHANGES.search(found) or not is_tame(found, frozenset(functions)):
        return None
    return Query(found, whole=whole)


def _shown(text: str) -> int:
    """Where the columns of the answer end, and what they rest on begins."""
    return next((at for at, word in _outer_words(text) if word == "FROM"), 0) if text[:1] in "sS" else 0


def _within(text: str, first: str, keys: Mapping[str, Collection[str]]) -> str:
    words = {word: at for at, word in reversed(list(_outer_words(text)))}
    end = min((words[each] for each in ("RETURNING", "ON") if each in words), default=len(text))
    if first == "INSERT" and "SELECT" in words:
        return text[words["SELECT"] : end]
    if first not in ("UPDATE", "DELETE") or "WHERE" not in words:
        return ""
    if first == "UPDATE" and ("FROM" in words or "SELECT" in text[: words["WHERE"]].upper()):
        return ""
    beginning = re.match(r"(?:UPDATE|DELETE\s+FROM)\s+([\w\"]+)\s+(?:AS\s+\w+\s+)?(?:SET|WHERE)\b", text, re.IGNORECASE)
    if beginning is None or "USING" in words:
        return ""
    table = beginning[1].strip('"')
    columns = ", ".join(f'"{column}"' for column in keys.get(table, keys.get(table.lower(), ())))
    return (
        columns and f"SELECT {columns} FROM {beginning[1]} {text[words['WHERE'] : words.get('RETURNING', len(text))]}"
    )


def _outer_words(text: str) -> Iterator[tuple[int, str]]:
    """The words outside of parentheses and quotes, in capitals, each with its place."""
    depth = 0
    for found in _PART.finditer(text):
        part = found[0]
        depth += (part == "(") - (part == ")")
        if not depth and part[0].isalpha():
            yield found.start(), part.upper()
