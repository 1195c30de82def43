"""Shows a failure at once, before it is minimised: above the progress bar until the smaller one replaces it.

Where standard error is no terminal, there is no bar. Then the failure is written to standard output as it was met, and
the smaller one follows. Who reads that later, in a log, is told which of the two reports and tokens stands.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.commands.console import out
from lab.commands.guard import violation_shown
from lab.commands.progress import ProgressBelow
from lab.report.hunts import failure_texts

__all__ = ["Found"]

AS_IT_WAS_MET = (
    "NOT MINIMISED YET: the first failure as it was met. The report further down replaces it, token and all."
)
REPLACED = "The report that replaces the one above, token and all:"


class Found:
    """What of a hunt's failures is on the screen. `quiet`: nothing is to be."""

    def __init__(self, bar: ProgressBelow, *, quiet: bool) -> None:
        self._bar, self.quiet = bar, quiet
        self._shown = False
        self._reported = False

    def first(self, failure: ReportedFailure) -> None:
        """A failure was found. Only the first of a hunt is worth showing twice."""
        if self.quiet or self._shown:
            return
        self._shown = True
        if self._bar.disable:
            out.out(f"{AS_IT_WAS_MET}\n\n{failure.report}\n")
        else:
            self._bar.above = Text(f"{failure.report}\n")
            self._bar.refresh()
        out.file.flush()
        violation_shown()

    def known(self, lines: Sequence[str]) -> None:
        """What became of violations that were known before; it stands above all others."""
        if self.quiet or not lines:
            return
        with self._bar.aside():
            for line in [*lines, ""]:
                out.out(line)

    def report(self, result: HuntResult) -> None:
        """Each failure in its last form, once."""
        if self.quiet or self._reported:
            return
        self._reported = True
        with self._bar.aside():
            if self._shown and self._bar.disable:
                out.out(f"{REPLACED}\n")
            for text in failure_texts(result):
                out.out(text)
