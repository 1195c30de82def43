"""Which statements set something off: a trigger, directly or by way of a cascade, a view, a rule, a function.

Told from names and words alone, so rather too often than not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from lab.postgres.statements.several import mentioned_in
from lab.postgres.statements.words import words_of

__all__ = ["ANY", "WRITES", "Firing", "fired", "with_what_leads_there"]

ANY = frozenset[str]()
"""Whatever the statement does: that it reads the view or calls the function is enough."""
WRITES = ("insert", "update", "delete", "truncate")
_DYNAMIC = "execute"
"""The word of code that makes up its statements when it runs: nobody knows what it sets off."""


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
    called: bool = False
    """It is a function."""

    def is_fired_by(self, words: Collection[str], calls: Collection[str]) -> bool:
        """Whether a statement of these words may set it off; `calls` are the functions that it runs."""
        there = self.name in (calls if self.called else words)
        return there and (not self.events or not self.events.isdisjoint(words))


def fired(text: str, firings: Iterable[Firing]) -> list[Firing]:
    """Those of these that a text may set off."""
    words, calls = words_of(text), mentioned_in(text)
    return [each for each in firings if each.is_fired_by(words, calls)]


def with_what_leads_there(firings: Iterable[Firing], code: Iterable[tuple[Firing, str]]) -> tuple[Firing, ...]:
    """These, and all that leads to one. `code`: what runs when something is set off."""
    found, known = dict.fromkeys(firings), -1
    runs = [(each, words_of(text), mentioned_in(text)) for each, text in code] if found else []
    while known != len(found):
        known = len(found)
        for each, words, calls in runs:
            if more := [other for other in found if _DYNAMIC in words or other.is_fired_by(words, calls)]:
                deferred = each.deferred or any(other.deferred for other in more)
                deferrable = each.deferrable or any(other.deferrable for other in more)
                found[replace(each, deferred=deferred, deferrable=deferrable)] = None
    return tuple(found)
