"""What a rule needs of the text of a statement: its verb, its tables, which columns it sets and which it asks about.

No parser of SQL: each question has an answer for the plain statements that applications send, and "not known", in the
form of nothing, for all others. A rule that gets nothing names no cause.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from lab.model.comments import AHEAD, without_comments

__all__ = [
    "asked_columns",
    "assigned",
    "computes",
    "has_another_source",
    "literals",
    "locks",
    "plain",
    "tables_of",
    "verb_of",
    "where",
    "written_table",
]

_LITERAL = re.compile(r"'(?:[^']|'')*'")
_NUMBER = re.compile(r"(?<![\w.$'])-?\d+(?:\.\d+)?(?![\w.])")
_NAME = r'(?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?'
_TABLE = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE(?!\s+(?:OF|SKIP|NOWAIT)\b))\s+(?:ONLY\s+)?({_NAME})", re.IGNORECASE)
_WRITTEN = re.compile(rf"^{AHEAD}(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?({_NAME})", re.IGNORECASE)
_LOCKS = re.compile(r"\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|KEY\s+SHARE|SHARE)\b", re.IGNORECASE)
_SET = re.compile(r"\bSET\s+(.*?)(?:\s+FROM\s|\s+WHERE\s|\s+RETURNING\s|$)", re.IGNORECASE | re.DOTALL)
_WHERE = re.compile(
    r"\bWHERE\s+(.*?)(?:\s+(?:RETURNING|GROUP BY|ORDER BY|LIMIT|FOR (?:NO KEY )?UPDATE|FOR (?:KEY )?SHARE)\b|$)",
    re.IGNORECASE | re.DOTALL,
)
_BOUND = re.compile(r"\bLIMIT\s+(?:\$\d+(?:::\w+)?|\d+)", re.IGNORECASE)
_WORD = re.compile(r"(?<![$:\w])[A-Za-z_]\w*")


@lru_cache(maxsize=1024)
def plain(text: str) -> str:
    """A statement on one line."""
    return " ".join(text.split())


def verb_of(text: str) -> str:
    """The first word, in capitals."""
    words = without_comments(text).split(maxsplit=1)
    return words[0].upper() if words else ""


def _named(name: str) -> str:
    return name.replace('"', "")


def tables_of(text: str) -> frozenset[str]:
    """The names behind FROM, JOIN, INTO and UPDATE."""
    return frozenset(map(_named, _TABLE.findall(_LITERAL.sub("''", _LOCKS.sub("", text)))))


def written_table(text: str) -> str:
    """The table of an INSERT, UPDATE or DELETE, "" for anything else."""
    found = _WRITTEN.match(text)
    return _named(found[1]) if found else ""


def locks(text: str) -> str:
    """How a SELECT locks its rows: "UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE", or "" for not at all."""
    found = _LOCKS.search(_LITERAL.sub("''", text))
    return plain(found[1].upper()) if found and verb_of(text) == "SELECT" else ""


def where(text: str) -> str:
    """The condition of a statement, "" for none."""
    found = _WHERE.search(text)
    return found[1] if found else ""


def _assignments(text: str) -> dict[str, str]:
    found = _SET.search(text) if verb_of(text) == "UPDATE" else None
    pairs = (each.partition("=") for each in _at_commas(found[1])) if found else ()
    return {_named(name.strip()).rpartition(".")[2]: value for name, sign, value in pairs if sign}


def _at_commas(text: str) -> list[str]:
    """The parts between commas that stand in no parentheses."""
    parts, depth = [""], 0
    for each in _LITERAL.sub("''", text):
        depth += (each == "(") - (each == ")")
        if each == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += each
    return parts


def assigned(text: str) -> frozenset[str]:
    """The columns that an UPDATE sets."""
    return frozenset(_assignments(text))


def computes(text: str) -> bool:
    """Whether an UPDATE computes a value from what it finds: `SET n = n + 1`."""
    return any(name in _words(value) for name, value in _assignments(text).items())


def asked_columns(text: str) -> frozenset[str]:
    """The words of the condition, columns among them."""
    return _words(where(text))


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(_LITERAL.sub("''", text)))


def has_another_source(text: str) -> bool:
    """Whether a statement that waits for a row also looks at rows that it does not lock: a join or an inner SELECT."""
    inner = re.search(r"\(\s*SELECT\b(.*)\)", text, re.IGNORECASE | re.DOTALL)
    if inner:
        return not _LOCKS.search(inner[1])
    return bool(re.search(r"\bJOIN\b|\bUSING\s", text, re.IGNORECASE) or _updates_from(text))


def _updates_from(text: str) -> bool:
    return verb_of(text) == "UPDATE" and bool(re.search(r"\sFROM\s", text, re.IGNORECASE))


def literals(text: str, parameters: Iterable[object]) -> frozenset[str]:
    """The values that a statement holds, in its text or bound; without a LIMIT."""
    text = _BOUND.sub("", text)
    used = {int(each) for each in re.findall(r"\$(\d+)", text)}
    bound = {str(each).strip("'") for number, each in enumerate(parameters, 1) if number in used}
    quoted = {each[1:-1].replace("''", "'") for each in _LITERAL.findall(text)}
    return frozenset(bound | quoted | set(_NUMBER.findall(_LITERAL.sub("", text))))
