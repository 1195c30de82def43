"""What statements reach by other names than a table's: views, partitions, the application's functions, triggers.

Rows are written to partitions and read through their table; a view shows rows of others; a function or a trigger looks
at whatever it likes. Where one of these is met, a read is followed by its definition, or named as not followed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lab.model.comments import AHEAD
from lab.postgres.statements.firing import Firing, fired
from lab.postgres.statements.several import mentioned_in, reads_beside, reads_later
from lab.postgres.statements.words import words_of

__all__ = ["NOTHING_BEYOND", "Beyond", "looks_at_others"]

_OF_OTHERS = re.compile(
    rf"{AHEAD}(?:SELECT|TABLE|DO|CALL|MERGE|EXECUTE)\b|.*\b(?:SELECT|TABLE)\b|.*\bUPDATE\b.*\bFROM\b|.*\bDELETE\b.*\bUSING\b",
    re.IGNORECASE | re.DOTALL,
)
"""In a statement that writes: it may compute what it writes from rows that it does not lock."""
_ASKS_TO_DEFER = re.compile(rf"{AHEAD}SET\s+CONSTRAINTS\b", re.IGNORECASE)


def looks_at_others(text: str) -> bool:
    """Whether the text of a statement that writes names rows that it only reads, or code that may read some."""
    return bool(_OF_OTHERS.match(text))


@dataclass(frozen=True, slots=True)
class Beyond:
    """Names, as the catalog has them, in the form that people use: `bill`, or `north.bill` outside of `public`."""

    wholes: Mapping[str, str] = field(default_factory=dict)
    """Partition -> the table that it is a part of."""
    views: Mapping[str, str] = field(default_factory=dict)
    """View of the schema `public` -> its query, whose tables have no schema where they are in `public`, too."""
    names: frozenset[str] = frozenset()
    """What reads more than it says where a text names it: views and partitions, in small letters, without a schema."""
    functions: frozenset[str] = frozenset()
    """The application's functions, and what runs one without naming it; see `mentioned_in`."""
    looking: frozenset[str] = frozenset()
    """Tables with a trigger, a default, a check or a domain of the application's that looks at relations."""
    deferring: frozenset[str] = frozenset()
    """The application's functions that say SET CONSTRAINTS."""
    reading: frozenset[str] = frozenset()
    """The application's functions that read with another snapshot than the statement that calls them."""
    counting: tuple[Firing, ...] = ()
    """Functions whose statements have snapshots of their own, and of which a later one reads, and what leads to one."""
    late: tuple[Firing, ...] = ()
    """Triggers that read once their row is locked or written, and what leads to one: too late for the pause before it.

    At READ COMMITTED such a read shows what others have committed by then. Where the transaction ends in the same step,
    as with AUTOCOMMIT or with a deferred trigger at COMMIT, two of them cannot both look before the other commits,
    though in production they can.
    """

    def whole(self, table: str) -> str:
        """The table that a row is found in by those who read it."""
        return self.wholes.get(table, table)

    def looks_before_it_writes(self, text: str) -> bool:
        """Whether a statement that writes may have looked at other rows before, or at those it writes in a function."""
        return looks_at_others(text) or self.is_met_in(text)

    def comes_apart(self, text: str) -> bool:
        """Whether a text reads with several snapshots, of which a later one shows what was committed meanwhile."""
        if reads_later(text) or (self.reading and reads_beside(text, self.reading)):
            return True
        return bool(self.counting and fired(text, self.counting))

    def reads_late(self, text: str) -> bool:
        """Whether a text may fire a trigger that reads later than a pause before the row would stop it."""
        return bool(self.late and fired(text, self.late))

    def reads_at_commit(self, texts: Collection[str]) -> bool:
        """Whether the COMMIT of a transaction with these statements may run such a trigger."""
        if not self.late:
            return False
        asked = any(_ASKS_TO_DEFER.match(text) or not self.deferring.isdisjoint(mentioned_in(text)) for text in texts)
        found = (trigger for text in texts for trigger in fired(text, self.late))
        return any(trigger.deferred or (asked and trigger.deferrable) for trigger in found)

    def is_met_in(self, text: str) -> bool:
        """Whether a text names something that reads more than it says."""
        return not (self.names.isdisjoint(words_of(text)) and self.functions.isdisjoint(mentioned_in(text)))


NOTHING_BEYOND = Beyond()
