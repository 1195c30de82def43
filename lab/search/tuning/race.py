"""Schedulers in turn on one scenario: a seed for each, then the next seed, until the answer is certain or time is over.

They take turns, and in another order with each seed, so that what disturbs the machine disturbs all alike. After the
first looks those that are certainly worse are left out (a race: Maron, Moore, Hoeffding Races, 1993), and the time goes
to the others. While nobody has met a violation, searches are short: it may be that there is none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lab.analysis.searches import Searches, behind, is_certain
from lab.analysis.standings import Standings
from lab.errors import Divergence, LabError, ServerError
from lab.explore import Explorer
from lab.model.starts import Starts
from lab.scenario.declare import target_of
from lab.schedulers import make_scheduler
from lab.search.hunt import INTERRUPTED
from lab.search.tuning.candidates import Candidate
from lab.search.tuning.samples import COVERED, Subject, searched

__all__ = ["Race"]

FIRST_LOOK = 10
"""Seeds before the first look: with fewer, the log-rank test is too rough."""
BETWEEN_LOOKS = 10
MOST_SEEDS = 1000
"""Whoever is not separated by so many is as good."""

Progress = Callable[[Standings], None]


@dataclass(slots=True)
class Race:
    """The comparison of some schedulers on one subject."""

    subject: Subject
    candidates: Sequence[Candidate]
    seeds: int
    """Seeds for each that is not left out, unless the time is over or the answer certain before."""
    cap: int
    seconds: float
    first_seed: int = 0
    in_seconds: bool = False
    progress: Progress = lambda seen: None
    alone: bool = True
    """There are no other comparisons that an error would end as well."""

    async def run(self, explorer: Explorer) -> Standings:
        """Compare. A failing server and Ctrl-C end it early and keep what is known; before, they are raised."""
        until = time.monotonic() + self.seconds
        searches = [
            Searches(each.name, each.scheduler, each.options, each.by_chance, each.is_default)
            for each in self.candidates
        ]
        result = Standings(
            target_of(self.subject.scenario),
            tuple(searches),
            self.cap,
            in_seconds=self.in_seconds,
            bug=self.subject.bug,
        )
        started = time.monotonic()
        try:
            await self._compare(explorer, result, until)
        except LabError as error:
            if self.alone and not isinstance(error, ServerError) and not result.executions:
                raise
            result.trouble = str(error)
        except asyncio.CancelledError:
            result.trouble = INTERRUPTED
        result.seconds = time.monotonic() - started
        return result

    async def _compare(self, explorer: Explorer, result: Standings, until: float) -> None:
        subject = await self._begun(explorer, until)
        for number in range(MOST_SEEDS):
            able = [each for each in result.searches if not each.left_out and not each.trouble]
            turns = able[number % len(able) :] + able[: number % len(able)] if able else []
            for each in turns:
                most = self.cap if result.found else min(COVERED, self.cap)
                if _is_settled(each, most):
                    continue
                await self._searched(explorer, subject, each, self.first_seed + number, most, until)
                self.progress(result)
                if time.monotonic() >= until:
                    return
            result.seeds = number + 1
            if self._is_over(result):
                return

    async def _begun(self, explorer: Explorer, until: float) -> Subject:
        """The subject as a hunt would run it, after a serial run that warms what the first search would pay for."""
        subject = self.subject
        starts = await explorer.starts(subject.scenario, subject.conditions, until=until)
        conditions = replace(subject.conditions, starts=starts is Starts.DECIDED)
        await explorer.run(subject.scenario, make_scheduler("serial", 0), conditions)
        return Subject(subject.scenario, conditions, subject.bug)

    async def _searched(
        self, explorer: Explorer, subject: Subject, each: Searches, seed: int, most: int, until: float
    ) -> None:
        candidate = Candidate(each.scheduler, each.options)
        try:
            trial = await searched(explorer, subject, candidate, seed, most, self.cap, until)
        except Divergence as error:  # it rests on executions that repeat, and these do not
            each.trouble = str(error)
            return
        if not each.by_chance:
            each.trials.clear()  # it was too short, and is the beginning of this one
        if trial.run or trial.whole:
            each.trials.append(trial)

    def _is_over(self, result: Standings) -> bool:
        """Look, where it is time to: leave out who is certainly worse; whether the answer is certain."""
        if not result.found:
            return result.seeds >= self.seeds
        if result.seeds < FIRST_LOOK or (result.seeds - FIRST_LOOK) % BETWEEN_LOOKS:
            return False
        result.looks += 1
        for each in behind(result.look(result.running), result.looks):
            each.left_out = result.seeds
        result.certain = is_certain(result.look(result.running), result.looks)
        return result.certain or (len(result.running) == 1)


def _is_settled(each: Searches, most: int) -> bool:
    """Whether another search would be the same as the one that is there."""
    return not each.by_chance and any(trial.met or trial.executions >= most for trial in each.trials)
