"""Which tables the statements of a request named, by their text.

It only decides which pairs of requests are worth a race, and in which order: so what it cannot tell (a function that is
called by name, a trigger) makes a pair neither hopeless nor safe. A row that names another by a foreign key locks that
one while it is inserted, so tables that written ones name are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from lab.search.races.sent import Touched
from lab.search.races.states import State

__all__ = ["touched_by"]

_WORDS = re.compile(r'"([^"]+)"|([A-Za-z_][\w$]*)')
_STRINGS = re.compile(r"'(?:[^']|'')*'")
_WRITES = re.compile(
    r'\b(?:INSERT\s+INTO|UPDATE(?:\s+ONLY)?|DELETE\s+FROM(?:\s+ONLY)?|MERGE\s+INTO)\s+([\w."$]+)', re.IGNORECASE
)
_LOCKS = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_SILENT = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "SHOW")


def touched_by(statements: Iterable[str], state: State) -> Touched:
    """The tables that they read and wrote, by the names that the lab has for them."""
    read, written, number = set[str](), set[str](), 0
    for statement in statements:
        number += not statement.lstrip().upper().startswith(_SILENT)
        named, changed = _of(statement, state.tables)
        read |= named
        written |= changed
    read |= {parent for child, parent in state.references if child in written}
    return Touched(frozenset(read), frozenset(written), number)


@lru_cache(maxsize=5000)
def _of(statement: str, tables: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    text = _STRINGS.sub("''", statement)
    words = {quoted or plain.lower() for quoted, plain in _WORDS.findall(text)}
    named = {each for each in tables if each.rpartition(".")[2] in words}
    targets = {each.replace('"', "").rpartition(".")[2].lower() for each in _WRITES.findall(text)}
    written = {each for each in named if each.rpartition(".")[2].lower() in targets}
    if _LOCKS.search(text):
        written |= named
    return frozenset(named), frozenset(written)
