"""A scheduler around another: the base of what cuts across schedulers, such as a count or a check.

By itself it changes nothing. Every call goes to the scheduler inside, so a wrapper overrides only what it is about, and
the caller sees no difference between the two.
"""

from __future__ import annotations

from lab.model.choices import Choices
from lab.model.decision import Strike
from lab.model.trace import Trace
from lab.schedulers.base import Scheduler

__all__ = ["Wrapper"]


class Wrapper(Scheduler):
    """Passes everything on to the scheduler `inner`. Declarations of the class come from the class of `inner`."""

    def __init__(self, inner: Scheduler) -> None:
        super().__init__()
        self.inner = inner

    @property
    def sampled(self) -> bool:
        """As declared by the one inside."""
        return self.inner.sampled

    @property
    def complete(self) -> bool:
        """As declared by the one inside."""
        return self.inner.complete

    @property
    def calibrated(self) -> bool:
        """As declared by the one inside."""
        return self.inner.calibrated

    @property
    def bound(self) -> int | None:
        """As declared by the one inside."""
        return self.inner.bound

    @property
    def starts(self) -> bool | None:
        """As declared by the one inside."""
        return self.inner.starts

    @property
    def pauses(self) -> bool:
        """As declared by the one inside."""
        return self.inner.pauses

    @property
    def faults(self) -> tuple[Strike, ...]:
        """As declared by the one inside."""
        return self.inner.faults

    @property
    def exact(self) -> bool:
        """As declared by the one inside."""
        return self.inner.exact

    @property
    def predictions(self) -> tuple[int, int]:
        """As declared by the one inside."""
        return self.inner.predictions

    @property
    def exhausted(self) -> bool:
        """As declared by the one inside."""
        return self.inner.exhausted

    @property
    def final(self) -> bool:
        """As declared by the one inside."""
        return self.inner.final

    def begin(self, execution: int) -> bool:
        """Begin the one inside."""
        return self.inner.begin(execution)

    def choose(self, choices: Choices) -> int:
        """What the one inside chooses."""
        return self.inner.choose(choices)

    def end(self, trace: Trace) -> None:
        """End the one inside."""
        self.inner.end(trace)
