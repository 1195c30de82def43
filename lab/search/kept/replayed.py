"""Replays the known violations of a scenario beside its next hunt, in a process of their own.

The search must find what it would find without them, and a replay in its process could leave something behind there:
in a module, in a cache, in a pool. So a worker replays them, and the search begins meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lab.errors import UsageError
from lab.explore import Conditions
from lab.postgres.server.place import Place
from lab.search.beside import Beside
from lab.search.hunt import INTERRUPTED
from lab.search.job import Job
from lab.search.kept.known import CHANGED, FAILS, FIXED, KnownFailure
from lab.search.workers import JobResult, Workers

__all__ = ["NOT_TRIED", "KnownReplays", "Tried"]

NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Tried:
    """A known violation, and what its replay said."""

    known: KnownFailure
    state: str
    """`fails`, `fixed`, `changed`, or `not tried`."""
    detail: str = ""
    """Why; "" where there is no more to say."""

    def counts(self, job: Job) -> bool:
        """Whether it is a violation of what a hunt asks about: at its level, by a check that it asks for as well."""
        checks = set(self.known.checks) <= set(job.conditions.checks)
        return self.state == FAILS and checks and self.known.isolation == (job.conditions.isolation or "")

    def shown(self) -> dict[str, Any]:
        """For programs."""
        names = ("token", "target", "isolation", "checker", "broken", "hunt", "test", "found")
        return {**{name: getattr(self.known, name) for name in names}, "state": self.state, "detail": self.detail}


class KnownReplays:
    """Begins at once. `judged` is called with each as it is known, in a thread of its own."""

    def __init__(
        self, place: Place, known: Sequence[KnownFailure], source: str, judged: Callable[[Tried], None]
    ) -> None:
        self._place, self._known, self._source, self._judged = place, known, source, judged
        self._tried: dict[int, Tried] = {}
        self._beside = Beside(self._replay) if known else None

    @property
    def is_over(self) -> bool:
        """Whether all were tried."""
        return self._beside is None or self._beside.is_over

    @property
    def tried(self) -> list[Tried]:
        """What came of each, in their order."""
        return [self._tried.get(number, Tried(each, NOT_TRIED, INTERRUPTED)) for number, each in enumerate(self._known)]

    async def over(self) -> None:
        """Wait for all. Who waits and is cancelled ends it."""
        if self._beside is not None:
            await self._beside.over()

    async def aclose(self) -> None:
        """End it."""
        if self._beside is not None:
            self._beside.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._beside.over()

    async def _replay(self) -> None:
        jobs = [_job(each) for each in self._known]
        async with contextlib.aclosing(Workers(self._place, 1).perform(jobs)) as done:
            async for number, answer in done:
                tried = _tried(self._known[number], answer, self._source)
                self._tried[number] = tried
                self._judged(tried)


def _job(known: KnownFailure) -> Job:
    return Job(known.target, token=known.token, follow=True, conditions=Conditions(checks=tuple(known.checks)))


def _tried(known: KnownFailure, answer: JobResult, source: str) -> Tried:
    result = answer.result
    if answer.error:
        changed = answer.exit_status == UsageError.exit_status
        return Tried(known, CHANGED if changed else NOT_TRIED, answer.error)
    if result.failures:
        met = result.failures[0]
        now = replace(known, token=met.token)
        other = "" if met.key == known.key else f"it breaks something else now: {met.broken}"
        return Tried(now, FAILS, other or ("" if met.token == known.token else "its token is another one now"))
    if result.trouble:
        return Tried(known, NOT_TRIED if result.trouble == INTERRUPTED else CHANGED, result.trouble)
    if doubt := result.unsteady or "; ".join(result.not_checked):
        return Tried(known, NOT_TRIED, doubt)
    if known.source != source:
        return Tried(known, CHANGED, "its replay passes, and the source of its scenario has changed")
    return Tried(known, FIXED)
