"""How schedulers compare on one scenario, for people and programs: figures with intervals, and what they come to."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lab.analysis.searches import COVERAGES, Look, Pairs, Searches, by_coverage, error_of, leader
from lab.analysis.survival import chance, of_all, restricted_mean, spread, survival

__all__ = ["Figures", "Judged", "Standings"]

FEW = 10
"""With fewer seeds, none is recommended unless some are certainly worse."""


@dataclass(slots=True)
class Standings:
    """The searches of all schedulers on one scenario. It grows while they run."""

    target: str
    searches: tuple[Searches, ...]
    cap: int
    """Executions after which a search without a violation is censored."""
    in_seconds: bool = False
    """Compared by seconds, else by executions."""
    bug: str = ""
    """The violation that was looked for; "" for any."""
    seeds: int = 0
    """Under how many seeds every scheduler that was not left out has searched."""
    looks: int = 0
    certain: bool = False
    """The recommended one needs certainly at most `MUCH` times what any other needs."""
    trouble: str = ""
    """Why it ended before it was to."""
    seconds: float = 0.0

    @property
    def executions(self) -> int:
        """All that were run."""
        return sum(each.run for each in self.searches)

    @property
    def found(self) -> int:
        """The searches that met a violation."""
        return sum(each.found for each in self.searches)

    @property
    def able(self) -> tuple[Searches, ...]:
        """Those that could search it, and did."""
        return tuple(each for each in self.searches if each.trials and not each.trouble)

    @property
    def running(self) -> tuple[Searches, ...]:
        """Those of them that were not left out."""
        return tuple(each for each in self.able if not each.left_out)

    def look(self, searches: tuple[Searches, ...]) -> Look:
        """Some of them at this time."""
        return Look(searches, self.cap, in_seconds=self.in_seconds)

    def judged(self) -> Judged:
        """What the figures come to."""
        if self.found:
            return self._by_violations()
        first, coverage = by_coverage(self.look(self.able)) if len(self.able) > 1 else (None, {})
        overall = [of_all([each.rates(what, self.seeds) for each in self.able]) for what in COVERAGES]
        return Judged(self, first, separated=first is not None, coverage=coverage, overall=overall)

    def _by_violations(self) -> Judged:
        pairs = self.look(self.able).separated()
        differs = any(each.left_out for each in self.able) or any(p < error_of(self.looks + 1) for p in pairs.values())
        first = leader(self.look(self.running)) if differs or self.seeds >= FEW else None
        return Judged(self, first, separated=differs, pairs=pairs)


@dataclass(frozen=True, slots=True)
class Judged:
    """The comparison of a scenario's schedulers."""

    standings: Standings
    first: Searches | None
    """The one to use; None where no violation was met and coverage does not say more for any."""
    separated: bool
    """Some differ by more than chance."""
    pairs: Pairs = field(default_factory=dict)
    """By the log-rank test; none where no violation was met."""
    coverage: Mapping[str, Pairs] = field(default_factory=dict)
    overall: Sequence[float] = ()
    """Of each kind of coverage, Kruskal and Wallis's p-value over all."""

    def against(self, each: Searches) -> float | None:
        """The p-value of one against the first by the log-rank test; None for the first."""
        return None if self.first is None else self.pairs.get((self.first.name, each.name))

    def most_traces(self, each: Searches) -> float | None:
        """The p-value of one against the one that shows most new traces a second; None for that one."""
        able = [each for each in self.standings.able if each.rates("traces")]
        pairs = self.coverage.get("traces", {})
        most = max(able, key=lambda one: statistics.median(one.rates("traces")), default=None)
        return None if most is None else pairs.get((most.name, each.name))

    def figures(self, each: Searches) -> Figures:
        """What the searches of one scheduler say."""
        return Figures.of(self, each)


@dataclass(frozen=True, slots=True)
class Figures:
    """One scheduler, as shown. Means, chances and rates come with their intervals; None: not known."""

    scheduler: str
    options: Mapping[str, int]
    name: str
    seeds: int
    found: int
    executions: int
    mean: float | None
    """Executions to the first violation, restricted to the cap."""
    mean_interval: tuple[float, float] | None
    median: float | None
    mean_seconds: float | None
    seconds_each: float
    chance: float | None
    """Of the violation in one execution; only of schedulers whose executions are independent samples."""
    chance_interval: tuple[float, float] | None
    p: float | None
    """Of the log-rank test against the recommended one, adjusted."""
    left_out: int
    traces_a_second: float | None
    pairs_a_second: float | None
    outcomes_a_second: float | None
    p_traces: float | None
    """Of Mann and Whitney's test against who shows most new traces a second, adjusted."""
    trouble: str

    @classmethod
    def of(cls, judged: Judged, each: Searches) -> Figures:
        """The figures of one scheduler in a comparison."""
        standings = judged.standings
        able = bool(each.trials) and not each.trouble
        known = able and bool(standings.found)
        times = each.times(standings.seeds if known else 1)
        mean = restricted_mean(times, standings.cap) if known else None
        sampled = known and bool(each.samples)
        rates = {what: each.rates(what) for what in COVERAGES} if able else {}
        shown = {what: statistics.median(found) for what, found in rates.items() if found}
        return cls(
            scheduler=each.scheduler,
            options=dict(each.options),
            name=each.name,
            seeds=len(each.trials),
            found=each.found,
            executions=each.run,
            mean=mean,
            mean_interval=spread(each.times(), standings.cap) if known else None,
            median=survival(times).median() if known else None,
            mean_seconds=None if mean is None else mean * each.seconds_each,
            seconds_each=each.seconds_each,
            chance=each.met_by_samples / each.samples if sampled else None,
            chance_interval=chance(each.met_by_samples, each.samples) if sampled else None,
            p=judged.against(each),
            left_out=each.left_out,
            traces_a_second=shown.get("traces"),
            pairs_a_second=shown.get("pairs"),
            outcomes_a_second=shown.get("outcomes"),
            p_traces=judged.most_traces(each),
            trouble=each.trouble,
        )

    def shown(self) -> dict[str, Any]:
        """For programs."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
