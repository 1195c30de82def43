"""Keeps the passwords that this process was given out of all that it shows.

Code of the user's may put one into what it raises or returns, and so into a report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import IO, Any

__all__ = ["Veil", "keep_back", "shown"]

SHORTEST = 6
"""A shorter secret is a part of any text; it is left out where it stands as passwords do."""
_patterns: dict[str, re.Pattern[str]] = {}


def keep_back(secrets: Iterable[str]) -> None:
    """From now on these are shown as `***`."""
    import json  # noqa: PLC0415 - only a server given by URL has a password
    from urllib.parse import quote  # noqa: PLC0415

    for secret in secrets:
        forms = {secret, quote(secret), quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
        for form in forms - {""}:
            letters = r"(?:\n\s*)?".join(map(re.escape, form))  # a line may have been broken within it
            around = letters if len(form) >= SHORTEST else rf"(?<=:){letters}(?=@)|(?<=password=){letters}"
            _patterns[form] = re.compile(around)


def shown(text: str) -> str:
    """A text without the secrets."""
    for form in sorted(_patterns, key=len, reverse=True):
        text = _patterns[form].sub("***", text)
    return text


class Veil:
    """A stream for texts to which no secret is written. `stream` is asked for each time, since it may be replaced."""

    def __init__(self, stream: Callable[[], IO[str]]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text without the secrets."""
        return self._stream().write(shown(text) if _patterns else text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream(), name)
