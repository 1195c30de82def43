"""A progress bar with a text above it. Apart from `console`, since not every command pays for its imports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.progress import Progress

from lab.analysis.tally import HuntResult

__all__ = ["ProgressBelow", "seen_until_now"]


def seen_until_now(seen: HuntResult, seconds: float) -> str:
    """A hunt in one line: all that its workers saw together, in so many seconds."""
    pace = f"{seen.executions / seconds:.0f} a second" if seconds >= 1 else ""
    found = f"{len(seen.failures)} found" if seen.failures else ""
    return " · ".join(filter(None, [seen.target.rpartition(":")[2], f"{len(seen.traces)} traces", pace, found]))


class ProgressBelow(Progress):
    """`above` is shown as long as the bar is, and cut where the screen ends."""

    above: RenderableType = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """The text, if there is one, and the bar."""
        if self.above:
            yield self.above
        yield from super().get_renderables()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Off the screen, and what was above it for good: something else is written."""
        self.above = ""
        if self.disable:
            yield
            return
        self.stop()
        try:
            yield
        finally:
            self.start()
