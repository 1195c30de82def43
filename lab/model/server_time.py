"""Which moments the server's clock showed in one execution: values of it are told from others by that alone.

It shows the machine's time, or runs ahead of it or behind it by as much as the lab wants, see `lab.engine.clock`. Each
time that the lab moves it, a stretch of moments that it showed ends and another begins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

__all__ = ["ServerTime"]


class ServerTime:
    """All numbers are microseconds, moments since 1970.

    `real` gives the machine's time; `since` is the first moment that counts, now if left out.
    """

    def __init__(self, real: Callable[[], int], *, ahead: int = 0, since: int | None = None) -> None:
        self._real = real
        self.ahead = ahead
        """How far it is ahead of the machine's time; negative where it is behind."""
        self._begins = [self.now if since is None else since]
        self._ends: list[int] = []
        """Of all stretches but the last, which has not ended."""

    @property
    def now(self) -> int:
        """What it shows."""
        return self._real() + self.ahead

    def move(self, by: int) -> None:
        """It is put forward, or back where `by` is negative."""
        self._ends.append(self.now)
        self.ahead += by
        self._begins.append(self.now)

    def showed(self, moment: int) -> bool:
        """Whether it showed this moment."""
        last = bisect_right(self._begins, moment) - 1
        return last >= 0 and moment <= (self._ends[last] if last < len(self._ends) else self.now)
