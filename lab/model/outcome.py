"""How one execution ended: what each actor returned or raised, and the final rows.

An outcome is compared between replays, so whatever no schedule controls must not reach it raw. Process
ids and transaction ids in error texts are removed. Values of the clock and random UUIDs in rows and
results are replaced by a mark and the replacement is named, so that a `created_at` column does not make
every replay look different while the report still says what was not compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

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
class ActorResult:
    """What one actor returned or raised.

    `value` is the returned object, for invariants; `text` is what takes part in comparison: the `repr` of
    the value, or the error's type and message. `detail` is the server's own detail with ids named.
    """

    kind: ResultKind
    text: str = ""
    value: object = field(default=None, compare=False)
    error: BaseException | None = field(default=None, compare=False)
    sqlstate: str = ""
    detail: str = ""

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
    """How an execution ended. `rows` maps each table to its final rows as PostgreSQL composite texts."""

    ending: Ending
    results: Mapping[str, ActorResult]
    rows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    uncontrolled: tuple[str, ...] = field(default=(), compare=False)
    """What was masked before comparison, for example "account: a clock value"."""

    def digest(self) -> str:
        """Twelve hexadecimal characters that stand for this outcome in counts."""
        results = [(n, r.kind, r.text, r.sqlstate) for n, r in self.results.items()]
        text = repr((self.ending, results, sorted(self.rows.items())))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def committed(self) -> tuple[str, ...]:
        """The actors that returned."""
        return tuple(name for name, result in self.results.items() if result.returned)


_CLOCK = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[+-]\d\d(?::?\d\d)?|Z)?")
_ZONE = r"datetime\.timezone(?:\.utc|\(datetime\.timedelta\((?:days=(-?\d+), )?seconds=(\d+)\)(?:, '[^']*')?\))"
_CLOCK_REPR = re.compile(rf"datetime\.datetime\((\d+(?:, \d+){{4,6}})(?:, tzinfo={_ZONE})?\)")
"""A moment as Python shows it: in what an actor returned, and in the rows that it was shown."""
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Mask:
    """Replaces what no schedule controls in texts of one execution.

    A timestamp is taken for a clock value exactly when it lies between the start and the end of the
    execution; times that a scenario sets itself stay. A UUID is taken for random when the setup did not
    already hold it.
    """

    def __init__(self, started: datetime, known: str = "") -> None:
        self._started = started.astimezone(UTC)
        self._known = known
        self._uuids: dict[str, str] = {}
        self.found: set[str] = set()

    def __call__(self, text: str) -> str:
        """The text with clock values as `<now>`, new UUIDs as `<uuid 1>`, and no memory addresses."""
        if "-" in text:
            text = _CLOCK.sub(self._clock, text)
            text = _UUID.sub(self._uuid, text)
        if "datetime(" in text:
            text = _CLOCK_REPR.sub(self._clock_repr, text)
        return _ADDRESS.sub("", text) if " at 0x" in text else text

    def _clock(self, match: re.Match[str]) -> str:
        text = match[0]
        zone = re.search(r"[+-]\d\d$", text)
        try:
            moment = datetime.fromisoformat(text + ":00" if zone else text)
        except ValueError:
            return text
        return self._now_or(text, moment)

    def _clock_repr(self, match: re.Match[str]) -> str:
        numbers, days, seconds = match.groups()
        ahead = timedelta(days=int(days or 0), seconds=int(seconds or 0))
        try:
            year, month, day, hour, minute, second, micro = (*map(int, numbers.split(", ")), 0, 0)[:7]
            moment = datetime(year, month, day, hour, minute, second, micro, timezone(ahead))
        except ValueError:
            return match[0]
        return self._now_or(match[0], moment)

    def _now_or(self, text: str, moment: datetime) -> str:
        """The mark, or the text of a moment outside the execution. A moment without a zone is taken for UTC's."""
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if not self._started <= moment <= datetime.now(UTC):
            return text
        self.found.add("a clock value")
        return "<now>"

    def _uuid(self, match: re.Match[str]) -> str:
        text = match[0]
        if text in self._known:
            return text
        self.found.add("a generated UUID")
        return self._uuids.setdefault(text, f"<uuid {len(self._uuids) + 1}>")
