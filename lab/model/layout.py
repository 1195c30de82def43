"""What the catalog says about tables: their columns, their keys, and which values the database draws from sequences.

A drawn value differs between two runs that did the same: a request that was rolled back has used one up. So it is
compared by what it names, not by its number, and for that it has to be distinguished from a number that the application
chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Column", "Drawn", "Layout", "Position"]

MOST_VALUES = 10_000
"""Most values of one origin in one execution; a sequence that was set far ahead has not drawn all values in between."""


class Position(NamedTuple):
    """Where a sequence stands: its last value, and whether that one was drawn or is the next to be."""

    last: int
    called: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `key` says that it is part of the primary key."""

    name: str
    key: bool = False
    origin: str = ""
    """The column whose sequence its values come from, as `event.id`: itself or, of a foreign key, the one that it leads
    to. "" where the application chooses the values."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of each table, in the order in which a row's text holds them."""

    columns: Mapping[str, tuple[Column, ...]] = field(default_factory=dict)
    sequences: Mapping[str, str] = field(default_factory=dict)
    """Origin -> its sequence; "" where an expression makes the value from one, as in 'order-' || nextval(...)."""

    def drawn(self, before: Mapping[str, Position], after: Mapping[str, Position]) -> Drawn:
        """What was drawn between two moments, given where each sequence stood."""
        spans = {
            origin: (before[sequence], after[sequence]) if sequence in before and sequence in after else None
            for origin, sequence in self.sequences.items()
        }
        return Drawn(spans)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The values that one execution drew. Origin -> where its sequence stood before and after; None: not known."""

    spans: Mapping[str, tuple[Position, Position] | None] = field(default_factory=dict)

    def has(self, origin: str, text: str) -> bool:
        """Whether a value was drawn for this origin. Where that is not known, every value counts as drawn."""
        if origin not in self.spans:
            return False
        if (span := self.spans[origin]) is None:
            return True
        before, after = span
        try:
            value = int(text)
        except ValueError:
            return False
        if not after.called or (before.called and value == before.last):
            return False
        return min(before.last, after.last) <= value <= max(before.last, after.last)

    def values(self, origin: str) -> range:
        """The numbers that may have been drawn for this origin; none where that is not known."""
        if (span := self.spans.get(origin)) is None or not span[1].called:
            return range(0)
        before, after = span
        low, high = min(before.last, after.last), max(before.last, after.last)
        return range(low, min(high, low + MOST_VALUES) + 1)
