"""Triggers that read once their row is locked or written: too late for the pause before that row.

At READ COMMITTED such a read shows what others have committed by then. Where the transaction ends in the same step, as
with AUTOCOMMIT or with a deferred trigger at COMMIT, two of them cannot both look before the other commits, though in
production they can.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

__all__ = ["CALLS", "LateTrigger", "fired", "reads_rows"]

CALLS = frozenset({"select", "call", "perform", "execute"})
"""The words of statements that call a function."""

_WORD = re.compile(r"[a-z_][a-z0-9_$]*")
_DELETES = re.compile(r"\bdelete\s+from\b", re.IGNORECASE)
_SOURCE = re.compile(r'\b(?:from|join)\s+(?:only\s+|lateral\s+)?(?:"?[a-z_][\w$]*"?\.)?"?([a-z_][\w$]*)', re.IGNORECASE)
_DYNAMIC = re.compile(r"\bexecute\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LateTrigger:
    """A trigger, or a function whose code fires one."""

    name: str
    """The table, or the function, in small letters and without a schema."""
    events: frozenset[str]
    """Words, one of which a statement has that fires it."""
    deferred: bool = False
    """It runs at COMMIT, unless SET CONSTRAINTS says otherwise."""
    deferrable: bool = False
    """SET CONSTRAINTS may have it run at COMMIT."""

    def is_fired_by(self, words: Collection[str]) -> bool:
        """Whether a statement of these words, in small letters, may fire it."""
        return self.name in words and not self.events.isdisjoint(words)


def reads_rows(source: str, names: Collection[str]) -> bool:
    """Whether the code of a trigger reads rows of these relations, or may."""
    sources = {name.lower() for name in _SOURCE.findall(_DELETES.sub("delete", source))}
    return bool(_DYNAMIC.search(source)) or not sources.isdisjoint(names)


def fired(text: str, triggers: Iterable[LateTrigger]) -> list[LateTrigger]:
    """Those of these triggers that a text may fire."""
    words = frozenset(_WORD.findall(text.lower()))
    return [trigger for trigger in triggers if trigger.is_fired_by(words)]
