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


def without_urls(text: str) -> str:
    """A message with whatever follows `//` left out: a URL that was given where none belongs may hold a password."""
    text = re.sub(r"(?<![\w/.])((?:[A-Za-z][\w+.-]*:)?//)[^\s'\"`]+", r"\1…", text)
    text = re.sub(r"(?<![^\s'\"`])(?!lab\d)([^\s'\"`:/]+:)[^\s'\"`:]+@[^\s'\"`]+", r"\1…", text)
    return re.sub(r"(?i)(pass(?:word|wd)?=)[^\s&'\"`]+", r"\1…", text)
