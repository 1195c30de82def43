"""How long something may take by the server's clock, as statements and the options of a connection say it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

__all__ = ["CLIENTS", "limits_of", "limits_set"]

_NAMES = frozenset(
    {
        *("lock_timeout", "statement_timeout", "transaction_timeout"),
        *("idle_in_transaction_session_timeout", "idle_session_timeout"),
    }
)
"""`deadlock_timeout` is none of them: what it waits for comes as well."""
CLIENTS = "command_timeout"
"""The limit that asyncpg itself keeps."""
_NAME = rf"({'|'.join(sorted(_NAMES))})"
_SET = re.compile(
    r"\b(?:SET\s+(?:LOCAL\s+|SESSION\s+)?|set_config\(\s*')" + _NAME + r"(?:\s*=\s*|\s+TO\s+|'\s*,\s*)('[^']*'|\w+)",
    re.IGNORECASE,
)
_OPTION = re.compile(rf"(?:-c\s*|--){_NAME}=(\S+)", re.IGNORECASE)
_NONE = re.compile(r"'?\s*0\s*(?:us|ms|s|min|h|d)?\s*'?|DEFAULT", re.IGNORECASE)


def limits_set(text: str, parameters: Iterable[object] = ()) -> Iterator[tuple[str, bool]]:
    """The limits that a statement sets, and whether there is one afterwards.

    What is set to a parameter is taken for a limit. `parameters` are values, or texts of them.
    """
    if "set" not in text.lower():
        return
    for name, value in _SET.findall(text):
        yield name.lower(), _NONE.fullmatch(value) is None
    if "set_config" in text.lower():
        yield from ((name, True) for name in _NAMES if any(name in str(each) for each in parameters))


def limits_of(options: Mapping[str, Any], settings: Mapping[str, str]) -> Collection[str]:
    """The limits with which a connection begins, opened with these options and settings of the server."""
    said = [*settings.items(), *_OPTION.findall(settings.get("options", ""))]
    found = {name.lower() for name, value in said if name.lower() in _NAMES and _NONE.fullmatch(value) is None}
    return found | ({CLIENTS} if options.get(CLIENTS) else set())
