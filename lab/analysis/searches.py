"""Searches by several schedulers for the same violation, as figures, and how the schedulers compare. Pure.

Each scheduler searches under one seed after another, up to its first violation or to a cap. So its searches are
independent times to an event, censored at the cap. One that no seed changes is run once; that one search stands for
those under all seeds, which would be equal.

Schedulers are looked at several times, and some are left out as worse before the others go on. So that all looks
together err no more often than one would, look k has the share 1 / (k (k + 1)) of the error (Bonferroni's bound; the
shares add up to 1, however many looks there are), and within a look all pairs are adjusted by Holm.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import combinations

from lab.analysis.survival import Times, differ, holm, log_rank, no_worse, restricted_mean

__all__ = [
    "COVERAGES",
    "ERROR",
    "MUCH",
    "Look",
    "Pairs",
    "Searches",
    "Trial",
    "behind",
    "by_coverage",
    "error_of",
    "is_certain",
    "leader",
]

ERROR = 0.05
"""How often all that is said to be certain may be wrong."""
MUCH = 1.2
"""A scheduler that needs at most so many times what the best needs is as good as the best."""
NEAR = 1.05
"""The default is recommended where it needs at most so many times what the best one needs."""

COVERAGES = ("traces", "pairs", "outcomes")
Pairs = Mapping[tuple[str, str], float]
"""Two schedulers, by name, in either order of the list -> the p-value of their comparison, adjusted."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One search: up to its first violation, to the cap, or to the end of the time."""

    seed: int
    executions: int
    """How many were made; of one that was over without a violation, the cap: it would never meet one."""
    met: bool
    """The last execution broke what was looked for."""
    _: KW_ONLY
    whole: bool = True
    """It might have gone on to the cap; else it was to be short, or the time was over."""
    seconds: float = 0.0
    """Of all executions that were run."""
    run: int = 0
    """How many were run."""
    samples: int = 0
    """How many of them were independent samples; 0 for a scheduler whose executions are not."""
    met_sample: bool = False
    """The violation was met by one of these."""
    covered: int = 0
    """So many, from the first on, count for the three below: how many different ones were seen."""
    traces: int = 0
    pairs: int = 0
    """Conflicting statements of two actors, in each of the two orders."""
    outcomes: int = 0


@dataclass(slots=True)
class Searches:
    """All searches of one scheduler."""

    name: str
    scheduler: str
    options: Mapping[str, int] = field(default_factory=dict)
    by_chance: bool = True
    is_default: bool = False
    trials: list[Trial] = field(default_factory=list)
    left_out: int = 0
    """After so many seeds it was left out, since others are better; 0: it was not."""
    trouble: str = ""
    """Why it cannot search this scenario."""

    @property
    def found(self) -> int:
        """How many searches met the violation."""
        return sum(each.met for each in self.trials)

    @property
    def run(self) -> int:
        """Executions that were run."""
        return sum(each.run for each in self.trials)

    @property
    def samples(self) -> int:
        """Those of them that were independent samples, up to the first violation each."""
        return sum(each.samples for each in self.trials)

    @property
    def met_by_samples(self) -> int:
        """How many of these broke it."""
        return sum(each.met_sample for each in self.trials)

    @property
    def seconds_each(self) -> float:
        """Of one execution: the median over the searches. One that the machine disturbed does not count for more."""
        return statistics.median([each.seconds / each.run for each in self.trials if each.run] or [0.0])

    def times(self, seeds: int = 1) -> Times:
        """Executions to the first violation; of a search that no seed changes, as of so many seeds."""
        copies = 1 if self.by_chance else max(1, seeds)
        return Times(
            tuple(float(each.executions) for each in self.trials) * copies,
            tuple(each.met for each in self.trials) * copies,
        )

    def figures(self, seeds: int, most: int) -> list[float]:
        """Executions, at most so many, of the searches that might have gone on so far; others would seem too short."""
        copies = 1 if self.by_chance else max(1, seeds)
        return [float(min(each.executions, most)) for each in self.trials if each.whole] * copies

    def rates(self, what: str, seeds: int = 1) -> list[float]:
        """How many different traces, pairs or outcomes a second showed, in each search."""
        each = self.seconds_each or 1.0
        copies = 1 if self.by_chance else max(1, seeds)
        return [getattr(trial, what) / (trial.covered * each) for trial in self.trials if trial.covered] * copies


@dataclass(frozen=True, slots=True)
class Look:
    """The figures of a comparison at one time. `most`: the cap, in executions."""

    searches: tuple[Searches, ...]
    most: int
    in_seconds: bool = False

    @property
    def seeds(self) -> int:
        """Under how many seeds those that go by chance have searched."""
        return max((len(each.trials) for each in self.searches), default=0)

    def times(self, each: Searches) -> Times:
        """In executions or, with what an execution of that scheduler takes, in seconds."""
        times = each.times(self.seeds)
        return times.times_by(each.seconds_each) if self.in_seconds else times

    def most_of(self, each: Searches) -> float:
        """The cap in the same unit."""
        return self.most * (each.seconds_each if self.in_seconds else 1)

    def mean(self, each: Searches) -> float:
        """The restricted mean."""
        return restricted_mean(self.times(each), self.most_of(each))

    def figures(self, each: Searches) -> list[float]:
        """Times up to the cap without any that is only known to be longer than some time before."""
        unit = each.seconds_each if self.in_seconds else 1.0
        return [figure * unit for figure in each.figures(self.seeds, self.most)]

    def separated(self) -> Pairs:
        """Every pair by the log-rank test, adjusted by Holm."""
        return _pairs(self.searches, lambda one, other: log_rank(self.times(one), self.times(other)))


def _pairs(searches: Sequence[Searches], test: Callable[[Searches, Searches], float]) -> Pairs:
    both = list(combinations(searches, 2))
    adjusted = holm([test(one, other) for one, other in both])
    found = {}
    for (one, other), p in zip(both, adjusted, strict=True):
        found[one.name, other.name] = found[other.name, one.name] = p
    return found


def error_of(look: int) -> float:
    """The share of the error that this look may use; the first one is 1."""
    return ERROR / (look * (look + 1))


def leader(look: Look) -> Searches:
    """The one with the least restricted mean; the default where that is as good."""
    means = {each.name: look.mean(each) for each in look.searches}
    best = min(look.searches, key=lambda each: means[each.name])
    usual = next((each for each in look.searches if each.is_default), best)
    return usual if means[usual.name] <= NEAR * means[best.name] else best


def behind(look: Look, number: int) -> list[Searches]:
    """Those that are certainly worse than another one. `number`: of the look."""
    pairs, error = look.separated(), error_of(number)
    means = {each.name: look.mean(each) for each in look.searches}
    return [
        each
        for each in look.searches
        if any(
            means[other.name] < means[each.name] and pairs[each.name, other.name] < error
            for other in look.searches
            if other is not each
        )
    ]


def is_certain(look: Look, number: int) -> bool:
    """Whether the leader certainly needs at most `MUCH` times what any other needs."""
    first = leader(look)
    others = [each for each in look.searches if each is not first]

    values = [no_worse(look.figures(first), look.figures(each), MUCH) for each in others]
    return all(p < error_of(number) for p in holm(values))


def by_coverage(look: Look) -> tuple[Searches | None, Mapping[str, Pairs]]:
    """Who shows most by coverage, and every pair by Mann and Whitney's test, adjusted by Holm, for each kind.

    None leads unless it certainly shows more new traces a second than the default (else than any other), and is
    certainly behind in nothing.
    """
    able = [each for each in look.searches if any(trial.covered for trial in each.trials)]
    pairs = {what: _coverage_pairs(able, what, look.seeds) for what in COVERAGES}
    medians = {each.name: statistics.median(each.rates("traces")) for each in able}
    for each in sorted(able, key=lambda one: -medians[one.name]):
        rivals = [other for other in able if other.is_default] or [other for other in able if other is not each]
        if each in rivals:
            return None, pairs  # the default shows as much as any that is left
        ahead = all(pairs["traces"][each.name, other.name] < ERROR for other in rivals)
        if ahead and not any(_is_behind(each, other, what, pairs) for what in COVERAGES[1:] for other in rivals):
            return each, pairs
    return None, pairs


def _coverage_pairs(searches: Sequence[Searches], what: str, seeds: int) -> Pairs:
    return _pairs(searches, lambda one, other: differ(one.rates(what, seeds), other.rates(what, seeds)))


def _is_behind(each: Searches, other: Searches, what: str, pairs: Mapping[str, Pairs]) -> bool:
    less = statistics.median(each.rates(what)) < statistics.median(other.rates(what))
    return less and pairs[what][each.name, other.name] < ERROR
