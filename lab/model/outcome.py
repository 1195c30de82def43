"""How one execution ended: what each actor returned or raised, and the final rows.

An outcome is compared between replays, so whatever no schedule controls must not reach it raw. Process
ids and transaction ids in error texts are removed. Values of the server's clock and random UUIDs in rows and
results are replaced by a mark and the replacement is named, so that a `created_at` column does not make
every replay look different while the report still says what was not compared. Values of the actors' clock are
the lab's own and the same each time; they are shown by their distance from its beginning.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from functools import lru_cache
from itertools import chain, combinations

from lab.model.server_time import ServerTime
from lab.model.virtual_time import SECOND, VirtualTime

__all__ = ["ABORT_STATES", "ActorResult", "Ending", "Mask", "Outcome", "ResultKind"]

ABORT_STATES = frozenset({"40001", "40P01", "55P03"})
"""SQLSTATEs that mean "the server refused, try again": serialization failure, deadlock, lock not available."""


class ResultKind(StrEnum):
    """How an actor ended."""

    RETURNED = "returned"
    ABORTED = "aborted"
    RAISED = "raised"
    UNFINISHED = "unfinished"


class Ending(StrEnum):
    """How an execution ended."""

    COMPLETED = "completed"
    DEADLOCKED = "deadlocked"
    STALLED = "stalled"
    STEP_LIMIT = "step limit"


@dataclass(frozen=True, slots=True)
class ActorResult:  # noqa: PLW1641 - a dataclass makes its own hash
    """What one actor returned or raised: `outcome.results["alice"]` in an invariant.

    `value` is the returned object, None where it raised; `error` is what it raised, `sqlstate` the server's code.
    `returned` and `aborted` say how it ended: compare `value`, not the result itself. `text` is what takes part in
    comparison: the `repr` of the value, or the error's type and message. `detail` is the server's own detail with ids
    named.

    Compared with anything but a result, or asked whether it is true, it raises `TypeError`: an invariant that says
    `assert outcome.results["alice"]` would hold always, and one that says `== 3` never.
    """

    kind: ResultKind
    text: str = ""
    value: object = field(default=None, compare=False)
    error: BaseException | None = field(default=None, compare=False)
    sqlstate: str = ""
    detail: str = ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ActorResult):
            raise TypeError(f"the result of an actor was compared with {other!r}; what it returned is its .value")
        return (self.kind, self.text, self.sqlstate, self.detail) == (
            other.kind,
            other.text,
            other.sqlstate,
            other.detail,
        )

    def __bool__(self) -> bool:
        raise TypeError(
            "the result of an actor is neither true nor false; ask .returned, .aborted, or what it returned, its .value"
        )

    @property
    def returned(self) -> bool:
        """Whether the actor ended without an error: for its user, it succeeded."""
        return self.kind is ResultKind.RETURNED

    @property
    def aborted(self) -> bool:
        """Whether the server refused the actor's work in a way that a retry may cure."""
        return self.kind is ResultKind.ABORTED


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended.

    `results` maps each actor, and each task of one (`alice/1`), to its result; `rows` maps each table to its final rows
    as PostgreSQL composite texts.
    """

    ending: Ending
    results: Mapping[str, ActorResult]
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    uncontrolled: tuple[str, ...] = field(default=(), compare=False)
    """What was masked by its looks, at a place of which nothing was learnt: "a clock value"."""
    learnt: tuple[str, ...] = field(default=(), compare=False)
    """The places that differ between two equal runs, so that they were not compared: "column lease.until"."""
    struck: tuple[str, ...] = field(default=(), compare=False)
    """The actors that a fault hit."""

    def digest(self) -> str:
        """Twelve hexadecimal characters that stand for this outcome in counts."""
        results = [(n, r.kind, r.text, r.sqlstate) for n, r in self.results.items()]
        text = repr((self.ending, results, sorted(self.rows.items())))
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:12]

    @property
    def committed(self) -> tuple[str, ...]:
        """The actors that returned."""
        return tuple(name for name, result in self.results.items() if result.returned)

    @property
    def in_doubt(self) -> tuple[str, ...]:
        """The actors that a fault hit and that did not return: what they wanted may be done, or not."""
        return tuple(name for name in self.struck if not self.results[name].returned)

    @property
    def possible(self) -> tuple[frozenset[str], ...]:
        """Who may have done what it wanted: those who returned, then each with some of those in doubt.

        `assert balance in [10 * len(done) for done in outcome.possible]` says "every success, and nothing else" so that
        it also holds where a fault struck. Without a fault there is one such set.
        """
        sizes = range(len(self.in_doubt) + 1)
        more = chain.from_iterable(combinations(self.in_doubt, size) for size in sizes)
        return tuple(frozenset((*self.committed, *each)) for each in more)


_CLOCK = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[+-]\d\d(?::?\d\d)?|Z)?")
_ZONE = r"datetime\.timezone(?:\.utc|\(datetime\.timedelta\((?:days=(-?\d+), )?seconds=(\d+)\)(?:, '[^']*')?\))"
_NAMED_ZONE = r"zoneinfo\.ZoneInfo\(key='[^']*'\)"
_CLOCK_REPR = re.compile(rf"datetime\.datetime\((\d+(?:, \d+){{4,6}})(?:, tzinfo=(?:{_ZONE}|{_NAMED_ZONE}))?\)")
"""A moment as Python shows it: in what an actor returned, and in the rows that it was shown. Named zones are the
actors' business, the server has none; so how far they lie from UTC does not matter."""
_CLOCK_NUMBER = re.compile(r"(?<![\w.])(?:\d{10}\.\d{1,9}|\d{16}|\d{19})(?![\w.])")
"""Seconds, microseconds or nanoseconds since 1970, in our days."""
_SHORTEST_NUMBER = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def _parsed(text: str) -> int | None:
    """A moment of PostgreSQL's or of ISO 8601 in microseconds since 1970; without a zone it is UTC's. None if none."""
    zone = re.search(r"[+-]\d\d$", text)
    try:
        return _number_of(datetime.fromisoformat(text + ":00" if zone else text))
    except ValueError:
        return None


def _number_of(moment: datetime) -> int:
    """The same of a value. Also for the first and the last hours that there are, which no other zone has."""
    return (moment.replace(tzinfo=UTC) - _EPOCH - (moment.utcoffset() or timedelta())) // _MICROSECOND


def _counted(text: str) -> int:
    """The same of a number of seconds, microseconds or nanoseconds."""
    whole, _, fraction = text.partition(".")
    return int(whole) * SECOND + round(float(f"0.{fraction}") * SECOND) if fraction else int(whole[:16])


@lru_cache(maxsize=2)
def _moments_in(text: str) -> frozenset[int]:
    """The moments that rows hold, in microseconds since 1970."""
    dates = filter(None, map(_parsed, _CLOCK.findall(text)))
    return frozenset((*dates, *map(_counted, _CLOCK_NUMBER.findall(text))))


class Mask:
    """Replaces what no schedule controls in texts of one execution.

    A timestamp is taken for a value of the server's clock exactly when that clock, `server`, showed it in this
    execution and it is none of the actors' clock `time`; times that a scenario sets itself stay. So do those that the
    rows, `known`, held before the first step: were they told by their microseconds, too, it would depend on the number
    of steps what they are taken for. A UUID is taken for random when the setup did not already hold it.
    """

    def __init__(self, server: ServerTime, known: str = "", time: VirtualTime | None = None) -> None:
        self._server = server
        self._time = time
        self._known = known
        self._uuids: dict[str, str] = {}
        self.found: set[str] = set()
        self.servers_clock = False
        """A value of the server's clock was met."""

    def quietly(self, text: str) -> str:
        """The same of a text at a place that is named otherwise."""
        found = set(self.found)
        text = self(text)
        self.found = found
        return text

    def number(self, text: str) -> str:
        """The mark of a UUID that was met before, "" for any other text."""
        return self._uuids.get(text, "")

    def __call__(self, text: str) -> str:
        """The text with clock values as `<now>`, new UUIDs as `<uuid 1>`, and no memory addresses."""
        if "-" in text:
            text = _CLOCK.sub(self._clock, text)
            text = _UUID.sub(self._uuid, text)
        if "datetime(" in text:
            text = _CLOCK_REPR.sub(self._clock_repr, text)
        if self._time is not None and len(text) >= _SHORTEST_NUMBER:
            text = _CLOCK_NUMBER.sub(self._clock_number, text)
        return _ADDRESS.sub("", text) if " at 0x" in text else text

    def _clock(self, match: re.Match[str]) -> str:
        number = _parsed(match[0])
        return match[0] if number is None else self._now_or(match[0], number)

    def _clock_repr(self, match: re.Match[str]) -> str:
        numbers, days, seconds = match.groups()
        ahead = timedelta(days=int(days or 0), seconds=int(seconds or 0))
        try:
            year, month, day, hour, minute, second, micro = (*map(int, numbers.split(", ")), 0, 0)[:7]
            moment = datetime(year, month, day, hour, minute, second, micro, timezone(ahead))
        except ValueError:
            return match[0]
        return self._now_or(match[0], _number_of(moment))

    def _stood_before(self, number: int) -> bool:
        """Whether the rows held a moment before the first step, and it is not one that a setup took from this clock."""
        own = self._time is not None and self._time.is_of_the_beginning(number)
        return not own and number in _moments_in(self._known)

    def _now_or(self, text: str, number: int) -> str:
        """The mark, or the text of a moment outside the execution."""
        shown = self._server.showed(number)
        if not shown and self._stood_before(number):
            return text
        if self._time is not None and (said := self._time.said(number, shown=shown)) is not None:
            if number > self._server.now:
                self._time.foresee(number)
            return said
        if not shown:
            return text
        self.servers_clock = True
        self.found.add("a clock value")
        return "<now>"

    def _clock_number(self, match: re.Match[str]) -> str:
        """A number that an actor made from its clock. One that the server made is a number like any other."""
        assert self._time is not None
        number = _counted(match[0])
        return match[0] if self._stood_before(number) else self._time.said(number) or match[0]

    def _uuid(self, match: re.Match[str]) -> str:
        text = match[0]
        if text in self._known:
            return text
        self.found.add("a generated UUID")
        return self._uuids.setdefault(text, f"<uuid {len(self._uuids) + 1}>")
