"""A scheduler around another: the base of what cuts across schedulers, such as a count or a check.

By itself it changes nothing. All that it is asked goes to the one inside, so what wraps overrides only what it is
about, and nobody who runs it can tell the two apart.
"""

from __future__ import annotations

from lab.model.choices import Choices
from lab.model.trace import Trace
from lab.schedulers.base import Scheduler

__all__ = ["Wrapper"]


class Wrapper(Scheduler):
    """Passes everything on to the scheduler `inner`. What stands on a class is asked of the class of `inner`."""

    def __init__(self, inner: Scheduler) -> None:
        super().__init__()
        self.inner = inner

    @property
    def sampled(self) -> bool:
        """As the one inside says."""
        return self.inner.sampled

    @property
    def complete(self) -> bool:
        """As the one inside says."""
        return self.inner.complete

    @property
    def calibrated(self) -> bool:
        """As the one inside says."""
        return self.inner.calibrated

    @property
    def bound(self) -> int | None:
        """As the one inside says."""
        return self.inner.bound

    @property
    def predictions(self) -> tuple[int, int]:
        """As the one inside says."""
        return self.inner.predictions

    @property
    def exhausted(self) -> bool:
        """As the one inside says."""
        return self.inner.exhausted

    @property
    def final(self) -> bool:
        """As the one inside says."""
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
