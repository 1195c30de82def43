"""The statistics of tuning have the figures that others publish: known data, with the values of lifelines and R."""

from __future__ import annotations

import math

import pytest

from lab.analysis.survival import (
    Times,
    chance,
    differ,
    holm,
    log_rank,
    no_worse,
    of_all,
    restricted_mean,
    spread,
    survival,
)

# Weeks of remission of 42 patients with leukaemia, with and without 6-MP: Freireich and others, Blood 21, 1963.
TREATED = Times(
    (6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35),
    tuple(map(bool, (1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0))),
)
PLACEBO = Times((1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23), (True,) * 21)


def test_kaplan_meier_is_that_of_lifelines():
    """lifelines 0.30.3, KaplanMeierFitter: survival and its interval after 6, 13 and 23 weeks; medians 23 and 8."""
    curve = survival(TREATED)
    expected = {
        6: (0.857142857, 0.619717955, 0.951551748),
        13: (0.690196078, 0.431610222, 0.849065963),
        23: (0.448179272, 0.188052006, 0.680142628),
    }
    for week, figures in expected.items():
        place = curve.times.index(week)
        assert (curve.share[place], curve.low[place], curve.high[place]) == pytest.approx(figures, abs=1e-9)
    assert dict(zip(curve.times, curve.at_risk, strict=True))[10] == 15
    assert (curve.median(), survival(PLACEBO).median()) == (23, 8)


@pytest.mark.parametrize(
    ("times", "most", "expected"),
    [(TREATED, 20, 16.116526611), (TREATED, 35, 23.287394958), (PLACEBO, 20, 8.428571429), (PLACEBO, 35, 8.666666667)],
)
def test_the_restricted_mean_is_that_of_lifelines(times, most, expected):
    """lifelines 0.30.3, restricted_mean_survival_time; R's survfit prints 23.29 and 8.67 for 35 weeks as well."""
    assert restricted_mean(times, most) == pytest.approx(expected, abs=1e-8)


def test_the_restricted_mean_of_whole_times_is_their_mean():
    times = Times((2, 3, 9, 10, 10), (True, True, True, False, False))
    assert times.known_to(10)
    assert restricted_mean(times, 10) == pytest.approx(sum(times.up_to(10)) / 5)
    low, high = spread(times, 10)
    assert 2 < low < restricted_mean(times, 10) < high <= 10
    assert spread(Times((7,), (True,)), 10) == (7, 7)


def test_the_interval_of_the_restricted_mean_counts_what_is_censored():
    low, high = spread(TREATED, 35)
    assert low < restricted_mean(TREATED, 35) < high
    assert high - low == pytest.approx(2 * 1.96 * 2.83, rel=0.25), "R gives a standard error of 2.83"


def test_the_log_rank_test_is_that_of_lifelines():
    """lifelines 0.30.3: chi-square 16.793, p 4.1688e-05; R's survdiff prints 16.8 and 4e-05."""
    assert log_rank(TREATED, PLACEBO) == pytest.approx(4.168809109e-05, rel=1e-8)
    never, always = Times((9, 9), (False, False)), Times((9, 9), (True, True))
    assert log_rank(never, never) == log_rank(always, always) == 1


def test_holm_is_that_of_r():
    """R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_clopper_pearson_has_the_figures_that_follow_from_the_binomial():
    """None of n: the upper bound is 1 - 0.025 ** (1 / n). 7 of 20: R's binom.test gives 0.1539092 to 0.5921885."""
    assert chance(0, 10) == pytest.approx((0, 1 - 0.025 ** (1 / 10)))
    assert chance(7, 20) == pytest.approx((0.1539092, 0.5921885), abs=1e-7)


def test_ranks_and_means_are_compared_also_where_nothing_varies():
    assert differ([3, 3], [3, 3]) == of_all([[3, 3], [3]]) == 1
    assert differ([1.0] * 20, [2.0] * 20) < 0.001
    assert of_all([[1.0] * 9, [2.0] * 9, [1.0] * 9]) < 0.001
    assert no_worse([2.0, 2.0], [2.0, 2.0], 1.2) == 0
    assert no_worse([3.0, 3.0], [2.0, 2.0], 1.2) == 1
    assert no_worse([2.0], [2.0, 4.0], 1.2) == 1, "one that varies, and one figure beside it, say nothing"
    assert no_worse([5, 6, 7, 6] * 9, [6, 5, 6, 7] * 9, 1.2) < 0.001
    assert not math.isnan(no_worse([2.0] * 9, [2.0, 3.0] * 5, 1.2))
