"""Which statements set something off: a trigger, directly or by way of a cascade, a view, a rule, a function.

Told from names and words alone, so rather too often than not at all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

__all__ = ["CALLS", "WRITES", "Firing", "fired", "with_what_leads_there"]

CALLS = frozenset({"select", "call", "perform", "execute"})
"""The words of statements that call a function."""
WRITES = ("insert", "update", "delete", "truncate")

_WORD = re.compile(r"[a-z_][a-z0-9_$]*")


@dataclass(frozen=True, slots=True)
class Firing:
    """A trigger, or what leads to one: statements with this name and one of these words set it off."""

    name: str
    """The table, view or function, in small letters and without a schema."""
    events: frozenset[str]
    deferred: bool = False
    """It runs at COMMIT, unless SET CONSTRAINTS says otherwise."""
    deferrable: bool = False
    """SET CONSTRAINTS may have it run at COMMIT."""

    def is_fired_by(self, words: Collection[str]) -> bool:
        """Whether a statement of these words, in small letters, may set it off."""
        return self.name in words and not self.events.isdisjoint(words)


def fired(text: str, firings: Iterable[Firing]) -> list[Firing]:
    """Those of these that a text may set off."""
    words = frozenset(_WORD.findall(text.lower()))
    return [each for each in firings if each.is_fired_by(words)]


def with_what_leads_there(firings: Iterable[Firing], code: Iterable[tuple[Firing, str]]) -> tuple[Firing, ...]:
    """These, and all that leads to one. `code`: what runs when something is set off."""
    found, known = dict.fromkeys(firings), -1
    runs = [(each, frozenset(_WORD.findall(text.lower()))) for each, text in code] if found else []
    while known != len(found):
        known = len(found)
        for each, words in runs:
            if more := [other for other in found if other.is_fired_by(words)]:
                deferred = each.deferred or any(other.deferred for other in more)
                deferrable = each.deferrable or any(other.deferrable for other in more)
                found[replace(each, deferred=deferred, deferrable=deferrable)] = None
    return tuple(found)
