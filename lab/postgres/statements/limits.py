"""How long something may take by the server's clock, as statements and the options of a connection say it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from lab.model.comments import without_comments

__all__ = ["limits_of", "limits_set"]

_NAMES = frozenset(
    {
        *("lock_timeout", "statement_timeout", "transaction_timeout"),
        *("idle_in_transaction_session_timeout", "idle_session_timeout"),
    }
)
"""`deadlock_timeout` is none of them: what it waits for comes as well."""
_CLIENTS = "command_timeout"
"""The limit that asyncpg itself keeps."""
_NAME = rf"({'|'.join(sorted(_NAMES))})"
_SET = re.compile(
    rf"""\b(?:SET\s+(?:LOCAL\s+|SESSION\s+)?"?|set_config\(\s*'){_NAME}["']?\s*(?:=|,|\bTO\b)\s*('[^']*'|[\w$]+)""",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"(?:-c\s*|--){_NAME}=(\S+)", re.IGNORECASE)
_NONE = re.compile(r"'?\s*0\s*(?:us|ms|s|min|h|d)?\s*'?|DEFAULT", re.IGNORECASE)


def limits_set(text: str, parameters: Iterable[object] = ()) -> Iterator[tuple[str, bool]]:
    """The limits that a statement sets, and whether there is one afterwards.

    What is set to a parameter is taken for a limit. `parameters` are values, or texts of them.
    """
    known, asks = _said_in(text)
    yield from known
    if asks:
        yield from ((name, True) for name in sorted(_NAMES) if any(name in str(each) for each in parameters))


@lru_cache(maxsize=2000)
def _said_in(text: str) -> tuple[tuple[tuple[str, bool], ...], bool]:
    """The limits that a statement sets by itself, and whether it may set one that a parameter names."""
    text = without_comments(text)
    known = ((name.lower(), _NONE.fullmatch(value) is None) for name, value in _SET.findall(text))
    return tuple(known), "set_config" in text.lower()


def limits_of(options: Mapping[str, Any], settings: Mapping[str, str]) -> Collection[str]:
    """The limits with which a connection begins, opened with these options and settings of the server."""
    said = [*settings.items(), *_OPTION.findall(settings.get("options", ""))]
    found = {name.lower() for name, value in said if name.lower() in _NAMES and _NONE.fullmatch(value) is None}
    return found | ({_CLIENTS} if options.get(_CLIENTS) else set())
