"""The clock of one execution as a value: where it stands, and how a moment of it reads in texts that are compared.

It begins at the same moment in each execution. Only sleeps and timeouts make time pass; each step adds a microsecond
besides, so that what happened later also reads a later time (`ORDER BY created_at` has no ties). A microsecond and no
more, because how many steps came before is no business of an actor's: two orders of independent steps are one trace,
and a serial run is compared with an interleaved one. So texts leave the microseconds of steps out, and whatever is
left of a moment was put there by sleeps and by arithmetic: `<now>`, `<now + 300 s>`. That reads the same in every
process, whenever it began.

A moment that comes from this clock is known by its microseconds: the clock begins at `SIGNATURE` of them behind a full
second, where a scenario's own constants do not lie. The server's moments are told apart by the time at which they came;
see `lab.model.outcome.Mask`.
"""

from __future__ import annotations

from math import ceil

__all__ = ["SECOND", "VirtualTime"]

SECOND = 1_000_000
"""Microseconds in a second; the unit of all whole numbers here."""
MILLISECOND = 1_000
SIGNATURE = 137
STEPS = 600
"""Steps whose microseconds are told from those of sleeps; longer executions are compared as they stand."""
FARTHEST = 3_660 * 86_400 * SECOND
"""Ten years: no actor reckons farther from now, and a number far from now is no time."""
KEPT = 10_000
LONGEST = 1e9
"""Seconds of a sleep that count; beyond some thirty years datetimes end."""
ROUNDING = 5e-4
"""Milliseconds that an actor's arithmetic with floats may add; less than a step."""


class VirtualTime:
    """`began` is the Unix time in seconds at which every execution begins."""

    def __init__(self, began: int) -> None:
        self.began = began * SECOND + SIGNATURE
        self.passed = 0
        """What sleeps and timeouts made pass, in whole milliseconds."""
        self.steps = 0
        self._shown: set[int] = set()
        """The moments at which the clock stood in this execution."""
        self._ahead: set[int] = set()
        """Moments reckoned from it that were still to come when they were seen, so that they are not the server's."""

    def begin(self) -> None:
        """Another execution begins."""
        self.passed = self.steps = 0
        self._shown = {self.began}

    @property
    def now(self) -> int:
        """Where the clock stands, in microseconds since 1970."""
        return self.began + self.passed + self.steps

    @property
    def elapsed(self) -> float:
        """Seconds since the execution began."""
        return (self.passed + self.steps) / SECOND

    def step(self) -> int:
        """A step begins. Returns how far the clock moved."""
        self.steps += 1
        self._shown.add(self.now)
        return 1

    def move_to(self, passed: int) -> int:
        """Let time pass until so much has passed, if it has not. Returns how far the clock moved."""
        moved = max(passed - self.passed, 0)
        if moved:
            self.passed = passed
            self._shown.add(self.now)
        return moved

    def after(self, seconds: float) -> int:
        """What will have passed so many seconds from now; fractions of a millisecond are a whole one."""
        return self.passed + max(ceil(min(seconds, LONGEST) * 1000 - ROUNDING), 0) * MILLISECOND

    def said(self, moment: int, *, shown: bool = False) -> str | None:
        """A moment as it is compared, `<now + 300 s>`; None if it is not one of this clock's.

        `shown`: the server's clock showed it.
        """
        away = moment - self.began
        if not 0 <= away % MILLISECOND <= min(self.steps, STEPS) or abs(away) > FARTHEST:
            return None
        if shown and moment not in self._shown and moment not in self._ahead:
            return None
        away -= away % MILLISECOND
        if not away:
            return "<now>"
        return f"<now {'-' if away < 0 else '+'} {abs(away) / SECOND:.15g} s>"

    def is_of_the_beginning(self, moment: int) -> bool:
        """Whether it may have been reckoned from this clock before the first step, as a setup does."""
        return (moment - self.began) % MILLISECOND == 0

    def foresee(self, moment: int) -> None:
        """Remember a moment of this clock that the server's has not reached."""
        if len(self._ahead) < KEPT:
            self._ahead.add(moment)
