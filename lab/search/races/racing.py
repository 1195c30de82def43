"""Races recordings: what `pytest --lab-races` and `lab races` do alike, once requests are recorded."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.explore import Explorer
from lab.model.verdict import Verdict
from lab.postgres.server.server import Server
from lab.search.races.accepted import Accepted, marked
from lab.search.races.findings import Raced, Standing
from lab.search.races.pairs import Skipped, ranked
from lab.search.races.sent import Recording
from lab.search.races.table import races_data, races_lines
from lab.search.races.trials import INTERRUPTED, raced
from lab.search.races.written import write_races

__all__ = ["Racing"]

FORM = 1
"""The version of the report for programs."""
_UNTIL_NOW = "interrupted; this is what was found until then"


@dataclass(slots=True)
class Racing:
    """What became of recordings. `command` is what a user enters to have races written as scenarios."""

    command: str
    recordings: list[Recording] = field(default_factory=list)
    raced: list[Raced] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    place: tuple[str, str] | None = None
    """Module of the application, and an expression for it there, where somebody named them."""
    notes: list[str] = field(default_factory=list)
    """What else there is to say of the recordings, as sentences."""
    trouble: str = ""
    """Why it ended before its time; "" if it did not."""
    wrote: list[str] = field(default_factory=list)
    """Scenarios that were written, and races of which none could be, as sentences."""

    async def race(
        self,
        server: Server,
        seconds: float,
        accepted: Sequence[Accepted],
        progress: Callable[[int, int, str], None],
    ) -> None:
        """Race what was recorded, for so many seconds. Ctrl-C ends it early, and keeps what was found.

        `progress` is called with how many pairs are done, of how many, and a text. Raises `ServerError`.
        """
        usable = [each for each in self.recordings if not each.trouble]
        pairs, self.skipped = ranked(usable)
        began = time.monotonic()
        try:
            with _no_logs():
                async with aclosing(Explorer(server, later=1)) as explorer:
                    async for each in raced(explorer, pairs, seconds, self.command):
                        self.raced.append(each)
                        done, racy = len(self.raced), sum(one.failure is not None for one in self.raced)
                        progress(done, len(pairs), f"{racy} racy, {time.monotonic() - began:.0f} s")
        finally:
            self.raced = marked(self.raced, accepted)
        if any(each.limits == INTERRUPTED for each in self.raced):
            self.trouble = _UNTIL_NOW

    @property
    def nothing(self) -> str:
        """Why nothing is known; "" where something is."""
        known = any(each.standing not in (Standing.NOT_TRIED, Standing.UNKNOWN) for each in self.raced)
        if known or self.trouble or not any(each.sent for each in self.recordings):
            return ""
        reasons = Counter(each.why for each in self.skipped).most_common(1) if not self.raced else []
        why = f" ({reasons[0][0]})" if reasons else ""
        return f"no pair of requests could be raced{why}, so nothing is known"

    @property
    def verdict(self) -> str:
        """`FAIL` for a race that nobody accepted; `INCONCLUSIVE` where nothing is known, or not all of it."""
        if any(each.failure is not None and not each.accepted for each in self.raced):
            return Verdict.FAIL
        return Verdict.INCONCLUSIVE if self.trouble or self.nothing else Verdict.PASS

    def lines(self, *, verbose: bool = False) -> Iterator[str]:
        """The report for people."""
        return races_lines(self.raced, self.skipped, self.recordings, verbose=verbose)

    def data(self) -> dict[str, Any]:
        """The report for programs."""
        data = races_data(self.raced, self.skipped, self.recordings)
        return {
            "verdict": self.verdict,
            **data,
            "notes": self.notes,
            "wrote": self.wrote,
            "trouble": self.trouble or self.nothing,
        }

    def write_data(self, file: Path) -> None:
        """The same into a file, with the version of its form."""
        file.write_text(json.dumps({"version": FORM, **self.data()}, indent=2) + "\n")

    def write_page(self, file: Path, *, said: Sequence[str] = ()) -> None:
        """The report as a page into a file; `said` stands below its summary. Raises `UsageError`."""
        from lab.report.html.files import written  # noqa: PLC0415 - templates are read only where a page is asked for
        from lab.search.races.page import races_html  # noqa: PLC0415 - the same

        beside = [*said, *self.notes, *filter(None, (self.trouble,))]
        written(file, races_html(self.raced, self.skipped, self.recordings, said=beside))

    def write(self, folder: Path) -> None:
        """Each race as a scenario, into a folder."""
        self.wrote = write_races(folder, self.raced, self.command, self.place)


@contextmanager
def _no_logs() -> Iterator[None]:
    """Applications are asked some thousand times; nobody wants to read what they log of that."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)
