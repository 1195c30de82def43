"""Whether a statement leaves its session as it found it, but for numbers that it drew from sequences.

A session keeps settings, advisory locks, temporary tables, held cursors, prepared statements, what it listens to. All
of these need a command of their own, or the call of a volatile function. So the text of a statement tells, as long as
nothing that the catalog holds calls such a function behind it. Where that is in doubt, the answer is no: it costs a
round trip, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from lab.postgres.statements.tame import is_tame

__all__ = ["draws", "is_tidy", "keeps_tidy"]

_OF_TRANSACTIONS = frozenset(
    {
        *("pg_advisory_xact_lock", "pg_advisory_xact_lock_shared"),
        *("pg_try_advisory_xact_lock", "pg_try_advisory_xact_lock_shared"),
    }
)
"""Volatile functions whose effect ends with the transaction."""
_DRAWING = frozenset({"nextval"})
_PLACES = re.compile(r"\b(?:INTO\s+[\w.\"]+|AS\s+\w+)\s*(?=\()", re.IGNORECASE)
"""Names that stand before a parenthesis and are those of a table or an alias."""
_TARGET = re.compile(r"\b(?:INSERT|MERGE)\s+INTO\b", re.IGNORECASE)
_BEYOND = re.compile(r"--|/\*|;\s*\S|\bINTO\b|\bpg_(?!(?:try_)?advisory_xact_lock|catalog\b)", re.IGNORECASE)
"""Comments, which may stand between a name and its parenthesis; several statements; SELECT INTO; views and functions
through which settings are set and sessions are seen."""
_DRAWS = re.compile(r"\b(?:INSERT|MERGE|DEFAULT|nextval)\b", re.IGNORECASE)
_SETS = re.compile(
    r"\b(?:SET|RESET|DISCARD|DEALLOCATE|PREPARE|LOAD|TEMP|TEMPORARY|HOLD|TRUNCATE)\b|\bpg_(?!catalog\b)", re.IGNORECASE
)
"""In the source of a function. SET stands in every UPDATE as well: then all is taken to be untidy."""


@lru_cache(maxsize=2000)
def is_tidy(sql: str, functions: frozenset[str]) -> bool:
    """Whether a query or a change of rows calls nothing but `functions`, which do no more than touch relations."""
    bare = sql.strip(" ;\n\t")
    if _BEYOND.search(_TARGET.sub("", bare)):
        return False
    return is_tame(_PLACES.sub("as", bare), _with_own(functions))


@lru_cache(maxsize=20)
def _with_own(functions: frozenset[str]) -> frozenset[str]:
    return functions | _OF_TRANSACTIONS | _DRAWING


@lru_cache(maxsize=2000)
def draws(sql: str) -> bool:
    """Whether a tidy statement may draw from a sequence."""
    return bool(_DRAWS.search(sql))


def keeps_tidy(
    functions: frozenset[str], sources: Iterable[str], expressions: Iterable[str], views: Iterable[str | None]
) -> bool:
    """Whether nothing in a catalog makes a statement untidy whose text is not.

    `sources` are those of the user's functions, `expressions` what stands in defaults and checks, `views` the queries
    of views; None for what is not looked into.
    """
    return (
        not any(map(_SETS.search, sources))
        and all(is_tidy(f"SELECT {each}", functions) for each in expressions)
        and all(each is not None and is_tidy(each, functions) for each in views)
    )
