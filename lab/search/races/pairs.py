"""Which pairs of recorded requests and calls are worth a race, and which of them first.

Each request against itself (the double click), against the one that followed (sent at once instead of in turn), and
against each later one of its test that touches the same tables: what lies between is then sent before. Two requests of
which neither writes what the other touches cannot disturb each other, so they are never raced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lab.search.races.sent import Recording, Sent

__all__ = ["TIMES", "Kind", "Pair", "Skipped", "pairs_of", "ranked"]

MOST_BETWEEN = 12
"""Requests that may lie between the two of a pair: a state that takes more to make is a scenario of its own."""
TIMES = "×"  # noqa: RUF001 - as people write a pair


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
    starts: bool = False
    """The application is started for them, since without that it answers otherwise than in the test."""

    @property
    def title(self) -> str:
        """As the table has it."""
        return f"{self.first.title} {TIMES} {'itself' if self.kind is Kind.TWICE else self.second.title}"

    @property
    def both(self) -> tuple[Sent, Sent]:
        """The two."""
        return self.first, self.second

    @property
    def sent(self) -> tuple[Sent, ...]:
        """The two, once where they are one."""
        return (self.first,) if self.first is self.second else self.both

    @property
    def names(self) -> tuple[str, str]:
        """Of its two actors."""
        one, other = self.first.name, self.second.name
        return (one, other) if one != other else (one, f"other_{other}")

    @property
    def why(self) -> str:
        """Its kind, in the words for what it is a pair of: `called twice`."""
        return str(self.kind).replace("sent", self.first.DONE)

    @property
    def apps(self) -> tuple[Any, ...]:
        """The applications of its requests; calls have none."""
        all_sent = (self.first, *self.between, self.second)
        return tuple({id(each.app): each.app for each in all_sent if each.app is not None}.values())

    @property
    def app(self) -> Any:
        """The application of its requests; None where it is a pair of calls."""
        return next(iter(self.apps), None)

    @property
    def lifespan(self) -> bool:
        """Its application was started before."""
        return self.starts or any(each.lifespan for each in (self.first, *self.between, self.second))

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
        return not (self.first.learnt - self.first.named).isdisjoint(self.second.named)

    @property
    def loss(self) -> tuple[int, int, int, int]:
        """How much it can lose; the largest is raced first.

        What both write can be lost, more so where it was read before. Requests that were refused may have been so
        because of the order in which the test sent them, so that says less.
        """
        one, other = self.first.touched, self.second.touched
        both = one.written & other.written
        read_before = len(both & one.read & other.read) + len((one.read & other.written) | (other.read & one.written))
        accepted = (not self.first.refused) + (not self.second.refused)
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
    return next(_reasons(pair), "")


def _reasons(pair: Pair) -> Iterator[str]:
    yield from filter(None, (pair.first.trouble, pair.second.trouble))
    yield from (f"{each.once}, and lies between them" for each in pair.between if each.once)
    if len(pair.apps) > 1:
        yield "the two were sent to different applications"
    seen = [each.touched for each in pair.both]
    if not any(each.more for each in seen):
        if all(each.only_reads for each in seen):
            yield "both only read"
        if not pair.tables:
            yield "neither writes a table that the other touches"
    if len(pair.between) > MOST_BETWEEN:
        yield f"more than {MOST_BETWEEN} requests lie between them"
