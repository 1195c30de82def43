"""Whether a text of SQL does no more than touch relations, as far as the functions tell that it calls.

Locks on relations show what a statement read and wrote there. They do not show an advisory lock that it tried to take,
a number that it drew, a notification, or what it looked up about other sessions. All of these need a call of a volatile
function, or a command of their own.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from lab.model.comments import AHEAD
from lab.postgres.statements.several import called_in

__all__ = ["is_tame", "tame_functions"]

_FIRST = re.compile(rf"{AHEAD}[\s(]*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|VALUES|TABLE)\b", re.IGNORECASE)
_LOUD = re.compile(
    r"\b(NOTIFY|LISTEN|UNLISTEN|LOCK|COPY|CALL|EXECUTE|COMMIT|ROLLBACK|CREATE|ALTER|DROP)\b", re.IGNORECASE
)
_HARMLESS = frozenset({"random", "clock_timestamp", "timeofday", "gen_random_uuid", "setseed", "random_normal"})
"""Volatile functions whose value is chance or the moment."""
_PRYING = ("pg_", "txid_", "currtid", "lastval", "currval", "query_to_", "inet_", "lo_")
"""Beginnings of the names of functions that look at other sessions or at the server."""
_WORDS = frozenset(
    (
        *("in", "values", "exists", "any", "all", "some", "as", "over", "filter", "and", "or", "not", "from", "select"),
        *("using", "on", "conflict", "with", "where", "when", "then", "else", "by", "key", "update", "set", "into"),
        *("returning", "union", "except", "intersect", "limit", "offset", "having", "case", "is", "between", "like"),
        *("ilike", "similar", "array", "row", "grouping", "sets", "cube", "rollup", "group", "partition", "window"),
        *("lateral", "ordinality", "distinct", "join", "cast", "coalesce", "nullif", "greatest", "least", "extract"),
        *("recursive", "materialized", "returns", "language", "if", "elsif", "while", "loop", "perform", "return"),
        *("for", "foreach", "varchar", "char", "character", "varying", "numeric", "decimal", "bit", "timestamp"),
        *(
            "time",
            "interval",
            "float",
            "timestamptz",
            "table",
            "default",
            "only",
            "out",
            "inout",
            "variadic",
            "range",
            "rows",
        ),
    )
)
"""What may stand before a parenthesis and is no function."""


@lru_cache(maxsize=2000)
def is_tame(sql: str, functions: frozenset[str]) -> bool:
    """Whether a statement calls nothing but `functions`, and is a query or a change of rows."""
    return bool(_FIRST.match(sql)) and _calls_only(sql, functions)


def _calls_only(sql: str, functions: Collection[str]) -> bool:
    return not _LOUD.search(sql) and all(name in functions or name in _WORDS for name in called_in(sql))


def tame_functions(
    known: Collection[tuple[str, bool]], own: Collection[tuple[str, str, bool]]
) -> tuple[frozenset[str], bool]:
    """The names of functions that do no more than touch relations, and whether all of the user's `own` are among them.

    `known` are PostgreSQL's: (name, whether it is not volatile). `own` are (name, its source where it is written in SQL
    or PL/pgSQL, whether it is not volatile). A name that stands for a wild one as well is none of them.
    """
    wild = {name for name, steady in known if not (steady or name in _HARMLESS) or name.startswith(_PRYING)}
    functions = {name for name, _ in known} - wild
    left = {(name, source, steady) for name, source, steady in own}
    while True:
        names = functions | {name for name, _, _ in left}
        wilder = {each for each in left if not _is_tame_function(each, names) or each[0] in wild}
        if not wilder:
            return frozenset(names), len(left) == len(own)
        wild |= {name for name, _, _ in wilder}
        left = {each for each in left if each[0] not in wild}


def _is_tame_function(function: tuple[str, str, bool], names: Collection[str]) -> bool:
    _, source, steady = function
    body = re.sub(r"CREATE OR REPLACE \w+", "", source, count=1)
    return _calls_only(body, names) if source else steady
