"""Keeps passwords out of texts, wherever they come from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = ["Secret", "without_urls"]


@dataclass(frozen=True)
class Secret:
    """A text that is got by calling it, so that it shows itself in no traceback with local variables and no `repr`.

    asyncpg takes such a call for a password. (A subclass of `str` would not do: its protocol insists on `str` itself.)
    """

    text: str = field(repr=False)

    def __call__(self) -> str:
        """The text."""
        return self.text


_SHOWN = re.compile(
    r"(?:tcp|tls|ws|wss|ucx)://(?:[\w.-]+|\[[0-9A-Fa-f:.%]+\]):\d{1,5}[.,;:)]?|"
    r"postgres(?:ql)?://(?:[\w.%+…-]*(?::\*\*\*)?@)?(?:[\w.%-]+|\[[0-9A-Fa-f:]+\])?(?::\d{1,5})?(?:/[\w.%+-]*)?[.,;:)]?"
)
"""What of a server's URL may be shown: scheme, role, the stars that the lab itself writes for a password, host, port
and database, and nothing that could be a password; and host and port of a dask scheduler or worker."""


def without_urls(text: str) -> str:
    """A message in which whatever follows `//` is left out, unless it is what of a server's URL may be shown.

    A URL that was given where none belongs may hold a password.
    """
    text = re.sub(r"(?<![\w/.])((?:[A-Za-z][\w+.-]*:)?//)[^\s'\"`]+", _hidden, text)
    text = re.sub(r"(?<![^\s'\"`])(?!lab\d)([^\s'\"`:/]+:)(?!//)[^\s'\"`:]+@[^\s'\"`]+", r"\1…", text)
    return re.sub(r"(?i)(pass(?:word|wd)?=)[^\s&'\"`]+", r"\1…", text)


def _hidden(match: re.Match[str]) -> str:
    return match[0] if _SHOWN.fullmatch(match[0]) else f"{match[1]}…"
