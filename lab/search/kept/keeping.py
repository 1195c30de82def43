"""The pen of one hunt: what it meets is written before it is shown, and how far it is now and then.

A file that fails ends no hunt: it is said once, and the hunt goes on without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from lab.analysis.reported import ReportedFailure
from lab.analysis.tally import HuntResult
from lab.schedulers import Scheduler
from lab.search.job import Job
from lab.search.kept.file import NotKept
from lab.search.kept.frozen import frozen
from lab.search.kept.known import Known
from lab.search.kept.resume import Resumed
from lab.search.kept.store import Checkpoint, Store

__all__ = ["Keeping"]

CHECKPOINT_SECONDS = 0.5
"""How often it is written how far a hunt is. What came after the last time is done again when the hunt goes on."""
SHARE = 20
"""A checkpoint that took a second is followed by as many without one, so they never cost more than a twentieth."""


class Keeping:
    """Of one hunt in the file. `say` shows a sentence; `source` and `versions` are those of this run."""

    def __init__(
        self,
        store: Store,
        hunt: str,
        job: Job,
        *,
        source: str,
        versions: Mapping[str, str],
        say: Callable[[str], None],
        resumed: Resumed | None = None,
    ) -> None:
        self.hunt, self.resumed = hunt, resumed
        self._store, self._known, self._job, self._say = store, Known(store.file), job, say
        self._source, self._versions = source, versions
        self._works = True
        self._written_failures: dict[tuple[str, str], ReportedFailure] = {}
        self._next = time.monotonic() + CHECKPOINT_SECONDS

    def met(self, failure: ReportedFailure) -> None:
        """A failure, as it was met or in a later form: on the disk when this returns."""
        if self._written_failures.get(failure.key) != failure:
            self._written_failures[failure.key] = failure
            self._written(lambda: self._meet(failure))

    def _meet(self, failure: ReportedFailure) -> None:
        if failure.fresh_process is False:
            # The next hunt would replay it in another process, where it passes, and call it fixed.
            self._known.withdraw(failure.token)
        else:
            self._known.remember(
                failure.token,
                failure.checker,
                failure.broken,
                source=self._source,
                versions=self._versions,
                hunt=self.hunt,
                checks=self._job.conditions.checks,
            )
        self._store.met(self.hunt, failure)  # the second, since it is what waits for the disk

    def reached(
        self,
        number: int,
        result: HuntResult,
        scheduler: Scheduler | None = None,
        reduced: Collection[str] = (),
        *,
        now: bool = False,
    ) -> None:
        """The executions before this number are counted, and none is under way. Written now and then, or `now`."""
        began = time.monotonic()
        if began < self._next and not now:
            return
        held = None if scheduler is None else frozen(scheduler)
        self._written(lambda: self._store.reached(self.hunt, Checkpoint(number, result, held, sorted(reduced))))
        ended = time.monotonic()
        self._next = ended + max(CHECKPOINT_SECONDS, SHARE * (ended - began))

    def ended(self, result: HuntResult, verdict: str, answer: Mapping[str, Any]) -> None:
        """The hunt has ended, and this is what is shown of it."""
        for failure in result.failures:
            self.met(failure)
        self._written(lambda: self._store.ended(self.hunt, result, verdict, answer))

    def _written(self, write: Callable[[], None]) -> None:
        if not self._works:
            return
        try:
            write()
        except NotKept as error:
            self._works = False
            self._say(f"nothing more is kept of this hunt: {error}")
