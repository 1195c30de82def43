"""Which tables the statements of a request named, by their text.

It only decides which pairs of requests are worth a race, and in which order: so what it cannot tell (a function or a
view of the database, a trigger, an advisory lock) makes a pair neither hopeless nor safe. A row that names another by a
foreign key locks that one while it is inserted, so tables that written ones name are read; and where that one goes, the
row may go with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from lab.search.races.states import State
from lab.search.races.touched import Touched

__all__ = ["touched_by"]

_WORDS = re.compile(r'"([^"]+)"|([A-Za-z_][\w$]*)')
_STRINGS = re.compile(r"'(?:[^']|'')*'")
_WRITES = re.compile(
    r'\b(?:INSERT\s+INTO|UPDATE(?:\s+ONLY)?|DELETE\s+FROM(?:\s+ONLY)?|MERGE\s+INTO)\s+([\w."$]+)', re.IGNORECASE
)
_LOCKS = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_ADVISORY = re.compile(r"\bpg_(?:try_)?advisory_", re.IGNORECASE)
_SILENT = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "SHOW")


def touched_by(statements: Iterable[str], state: State) -> Touched:
    """The tables that they read and wrote, by the names that the lab has for them."""
    read, written, number, more = set[str](), set[str](), 0, False
    for statement in statements:
        number += not statement.lstrip().upper().startswith(_SILENT)
        named, changed, advises = _of(statement, state.tables)
        read |= named
        written |= changed
        more |= advises or state.beyond.is_met_in(statement)
    while gone := {child for child, parent in state.cascades if parent in written} - written:
        written |= gone
    read |= {parent for child, parent in state.references if child in written}
    more |= not state.reacting.isdisjoint(each.rpartition(".")[2] for each in written)
    return Touched(frozenset(read), frozenset(written), number, more)


@lru_cache(maxsize=5000)
def _of(statement: str, tables: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str], bool]:
    """The tables that a statement names, those that it writes, and whether it takes an advisory lock."""
    text = _STRINGS.sub("''", statement)
    words = {quoted or plain.lower() for quoted, plain in _WORDS.findall(text)}
    named = {each for each in tables if each.rpartition(".")[2] in words}
    targets = {each.replace('"', "").rpartition(".")[2].lower() for each in _WRITES.findall(text)}
    written = {each for each in named if each.rpartition(".")[2].lower() in targets}
    if _LOCKS.search(text):
        written |= named
    return frozenset(named), frozenset(written), bool(_ADVISORY.search(text))
