"""Statistics of times to an event, some of which are only known to be longer: SciPy's, in the few forms tuning needs.

A time is a number of executions, or of seconds, until the first violation. A search that ended without one is
censored: it would have needed longer. Survival curves are Kaplan and Meier's (1958), compared by the log-rank test
(Mantel 1966), several comparisons by Holm (1979), and a chance is bounded as by Clopper and Pearson (1934).

SciPy is optional (extra `tune`), and loaded by whoever calls `scipy_stats` first: importing this file loads nothing.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from lab.errors import UsageError

__all__ = [
    "LEVEL",
    "Curve",
    "Times",
    "chance",
    "differ",
    "holm",
    "log_rank",
    "no_worse",
    "of_all",
    "restricted_mean",
    "scipy_stats",
    "spread",
    "survival",
]

LEVEL = 0.95
"""Confidence of every interval."""
RESAMPLES = 1999
SEED = 15
"""Of bootstraps, so that equal figures have equal intervals."""


@dataclass(frozen=True, slots=True)
class Times:
    """Times and, of each, whether the event was met then; else it was not met until then."""

    times: tuple[float, ...]
    met: tuple[bool, ...]

    def __post_init__(self) -> None:
        assert len(self.times) == len(self.met)

    def known_to(self, most: float) -> bool:
        """Whether each was followed to its event, or at least to this time."""
        return all(met or time >= most for time, met in zip(self.times, self.met, strict=True))

    def up_to(self, most: float) -> list[float]:
        """Each, but at most this; of those that were followed so far."""
        return [min(time, most) for time, met in zip(self.times, self.met, strict=True) if met or time >= most]

    def times_by(self, factor: float) -> Times:
        """The same in another unit."""
        return Times(tuple(each * factor for each in self.times), self.met)


@dataclass(frozen=True, slots=True)
class Curve:
    """A survival curve: at each time, the share that is still without the event, its interval, and who is at risk."""

    times: tuple[float, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    at_risk: tuple[int, ...]
    """How many were followed up to just before that time."""

    def median(self) -> float | None:
        """The first time at which at most half are without the event; None if more are to the end."""
        return next((time for time, share in zip(self.times, self.share, strict=True) if share <= 0.5), None)  # noqa: PLR2004 - a half


@functools.cache
def scipy_stats() -> Any:
    """SciPy's module. Raises `UsageError` where it is not installed."""
    try:
        return import_module("scipy.stats")
    except ImportError:
        raise UsageError("comparing schedulers needs SciPy: pip install 'concurrency-lab[tune]'") from None


def _censored(times: Times) -> Any:
    return scipy_stats().CensoredData.right_censored(list(times.times), [not met for met in times.met])


def survival(times: Times) -> Curve:
    """Kaplan and Meier's estimate with its interval (Greenwood's, on the scale log(-log)), from one time or more."""
    estimate = scipy_stats().ecdf(_censored(times)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it says that there is no interval where the share is 0 or 1
        bounds = estimate.confidence_interval(confidence_level=LEVEL, method="log-log")
    share = [float(each) for each in estimate.probabilities]
    low = [_or(bound, own) for bound, own in zip(bounds.low.probabilities, share, strict=True)]
    high = [_or(bound, own) for bound, own in zip(bounds.high.probabilities, share, strict=True)]
    at = [float(each) for each in estimate.quantiles]
    risk = [sum(each >= time for each in times.times) for time in at]
    return Curve(tuple(at), tuple(share), tuple(low), tuple(high), tuple(risk))


def _or(bound: float, instead: float) -> float:
    return float(bound) if bound == bound else instead  # noqa: PLR0124 - not a number is not equal to itself


def restricted_mean(times: Times, most: float) -> float:
    """The mean time up to `most`: the area under Kaplan and Meier's curve, which stays level beyond the last time.

    Where each was followed to its event or so far, that is the mean of the times, each at most that.
    """
    estimate = scipy_stats().ecdf(_censored(times)).sf
    area, share, before = 0.0, 1.0, 0.0
    for time, after in zip(estimate.quantiles, estimate.probabilities, strict=True):
        if time >= most:
            break
        area += share * (float(time) - before)
        share, before = float(after), float(time)
    return area + share * (most - before)


def spread(times: Times, most: float) -> tuple[float, float]:
    """The interval of the restricted mean, by a bootstrap of the searches (percentiles). One time has no width."""
    stats = scipy_stats()
    numpy = import_module("numpy")
    if len(times.times) == 1:
        mean = restricted_mean(times, most)
        return mean, mean
    chance_of_draws = numpy.random.default_rng(SEED)
    how = {"confidence_level": LEVEL, "method": "percentile", "rng": chance_of_draws}
    if times.known_to(most):
        done = stats.bootstrap((times.up_to(most),), numpy.mean, n_resamples=RESAMPLES, vectorized=True, **how)
    else:

        def mean_of(drawn: Any, met: Any) -> float:
            return restricted_mean(Times(tuple(drawn), tuple(map(bool, met))), most)

        both = (list(times.times), [float(met) for met in times.met])
        done = stats.bootstrap(both, mean_of, n_resamples=RESAMPLES // 5, paired=True, vectorized=False, **how)
    return float(done.confidence_interval.low), float(done.confidence_interval.high)


def log_rank(one: Times, other: Times) -> float:
    """How likely curves that differ so much are when both are the same: the p-value of the log-rank test, two-sided."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing varies: no event, or all at one time
        p = float(scipy_stats().logrank(_censored(one), _censored(other)).pvalue)
    return _or(p, 1.0)


def no_worse(one: Sequence[float], other: Sequence[float], factor: float) -> float:
    """How likely such figures are when the mean of one is more than `factor` times that of the other (Welch 1947)."""
    larger = [each * factor for each in other]
    if min(len(one), len(other)) < 2 or (len(set(one)) == len(set(other)) == 1):  # noqa: PLR2004 - no variance
        constant = len(set(one)) == len(set(other)) == 1
        return 0.0 if constant and one[0] <= larger[0] else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one of both does not vary
        return float(scipy_stats().ttest_ind(one, larger, equal_var=False, alternative="less").pvalue)


def differ(one: Sequence[float], other: Sequence[float]) -> float:
    """The p-value of Mann and Whitney's test (1947), two-sided. Where all figures are one, 1."""
    if len({*one, *other}) == 1:
        return 1.0
    return float(scipy_stats().mannwhitneyu(one, other, alternative="two-sided").pvalue)


def of_all(groups: Sequence[Sequence[float]]) -> float:
    """The p-value of Kruskal and Wallis's test (1952) over all groups. Where all figures are one, 1."""
    if len({figure for group in groups for figure in group}) == 1 or len(groups) < 2:  # noqa: PLR2004 - two to compare
        return 1.0
    return float(scipy_stats().kruskal(*groups).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """The p-values of several comparisons adjusted by Holm's steps, in the given order, each at most 1."""
    adjusted = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        adjusted[index] = largest
    return adjusted


def chance(met: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's interval for a chance: so often in so many tries, one or more."""
    bounds = scipy_stats().binomtest(met, of).proportion_ci(confidence_level=LEVEL, method="exact")
    return float(bounds.low), float(bounds.high)
