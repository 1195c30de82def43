"""Which pairs of recorded requests are worth a race, and which of them first.

Each request against itself (the double click), against the one that followed (sent at once instead of in turn), and
against each later one of its test that touches the same tables: what lies between is then sent before. Two requests of
which neither writes what the other touches cannot disturb each other, so they are never raced.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from lab.search.races.sent import Recording, Sent

__all__ = ["TIMES", "Kind", "Pair", "Skipped", "pairs_of", "ranked"]

MOST_BETWEEN = 12
"""Requests that may lie between the two of a pair: a state that takes more to make is a scenario of its own."""
_NAMING = re.compile(r"[\w-]+")
TIMES = "×"  # noqa: RUF001 - as people write a pair
_REFUSED = 400


class Kind(StrEnum):
    """Why two requests are raced."""

    TWICE = "sent twice"
    AT_ONCE = "sent at once"
    SAME_TABLES = "touch the same tables"


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two requests of a test that are raced from the state before the first of them, after those `between`."""

    kind: Kind
    first: Sent
    second: Sent
    between: tuple[Sent, ...] = ()

    @property
    def title(self) -> str:
        """As the table has it."""
        return f"{self.first.title} {TIMES} {'itself' if self.kind is Kind.TWICE else self.second.title}"

    @property
    def names(self) -> tuple[str, str]:
        """Of its two actors."""
        one, other = self.first.name, self.second.name
        return (one, other) if one != other else (one, f"other_{other}")

    @property
    def tables(self) -> tuple[str, ...]:
        """Those that one writes and the other reads or writes."""
        one, other = self.first.touched, self.second.touched
        return tuple(sorted((one.written & other.all) | (other.written & one.all)))

    @property
    def foretells(self) -> bool:
        """Whether the second names what only the answer to the first told, such as the id of what it made.

        Who sends both at once cannot know that id. Such a race is true, and seldom met.
        """
        if self.kind is Kind.TWICE:
            return False
        told = self.first.learnt - set(
            _NAMING.findall(f"{self.first.path} {self.first.content.decode(errors='replace')}")
        )
        return not told.isdisjoint(
            _NAMING.findall(f"{self.second.path} {self.second.content.decode(errors='replace')}")
        )

    @property
    def loss(self) -> tuple[int, int, int, int]:
        """How much it can lose; the largest is raced first.

        What both write can be lost, more so where it was read before. Requests that were refused may have been so
        because of the order in which the test sent them, so that says less.
        """
        one, other = self.first.touched, self.second.touched
        both = one.written & other.written
        read_before = len(both & one.read & other.read) + len((one.read & other.written) | (other.read & one.written))
        accepted = (self.first.status < _REFUSED) + (self.second.status < _REFUSED)
        return -self.foretells, 2 * len(both) + read_before, -len(self.between), accepted

    @property
    def key(self) -> tuple[object, ...]:
        """Two pairs with the same one are the same race."""
        state = self.first.state
        assert state is not None, "such a pair is skipped"
        both = frozenset((self.first.same, self.second.same))
        return both, state.definition, state.script, tuple(each.same for each in self.between)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A pair that is not raced, and why."""

    pair: Pair
    why: str


def pairs_of(recording: Recording) -> Iterator[Pair]:
    """All pairs of what a test sent, also the hopeless ones."""
    sent = recording.sent
    for place, first in enumerate(sent):
        yield Pair(Kind.TWICE, first, first)
        for later in range(place + 1, len(sent)):
            between = tuple(sent[place + 1 : later])
            yield Pair(Kind.SAME_TABLES if between else Kind.AT_ONCE, first, sent[later], between)


def ranked(recordings: Iterable[Recording]) -> tuple[list[Pair], list[Skipped]]:
    """The pairs that are worth a race, what can lose most first, and those that are not, with the reason.

    Each two requests are raced once from some state before any two are raced from another one.
    """
    kept: dict[tuple[object, ...], Pair] = {}
    skipped: list[Skipped] = []
    for recording in recordings:
        for pair in pairs_of(recording):
            if why := _hopeless(pair):
                skipped.append(Skipped(pair, why))
            else:
                kept.setdefault(pair.key, pair)
    worth = sorted(kept.values(), key=lambda each: each.loss, reverse=True)
    times = Counter[str]()
    rounds: dict[int, list[Pair]] = {}
    for pair in worth:
        rounds.setdefault(times[pair.title], []).append(pair)
        times[pair.title] += 1
    return [pair for number in sorted(rounds) for pair in rounds[number]], skipped


def _hopeless(pair: Pair) -> str:
    """Why a pair is not raced; "" if it is worth it."""
    if trouble := pair.first.trouble or pair.second.trouble:
        return trouble
    if pair.first.app is not pair.second.app:
        return "the two were sent to different applications"
    if not pair.first.touched.written and not pair.second.touched.written:
        return "both only read"
    if not pair.tables:
        return "neither writes a table that the other touches"
    if len(pair.between) > MOST_BETWEEN:
        return f"more than {MOST_BETWEEN} requests lie between them"
    return ""
