"""The turns of the portfolio's samplers follow from how likely each meets the violations."""

from lab.analysis.weights import TURNS, weights

NAMES = ("random", "urw", "pos", "pct")


def met(*shares: int) -> dict[str, tuple[int, int]]:
    return {name: (share, 100) for name, share in zip(NAMES, shares, strict=True)}


def test_the_best_sampler_of_one_scenario_gets_the_turns_and_each_other_keeps_one():
    found = weights([met(0, 40, 2, 1)], NAMES)
    assert found.turns == {"random": 1, "urw": TURNS - 3, "pos": 1, "pct": 1}


def test_two_scenarios_share_the_turns_so_that_neither_suffers_much():
    found = weights([met(30, 0, 0, 0), met(0, 0, 0, 30)], NAMES)
    assert found.turns["random"] in (4, 5)
    assert found.turns["random"] + found.turns["pct"] == TURNS - 2
    assert found.worst < 3


def test_where_nothing_was_met_or_a_sampler_was_not_run_there_are_none():
    assert weights([met(0, 0, 0, 0)], NAMES) is None
    assert weights([{"random": (3, 10)}], NAMES) is None
    assert weights([], NAMES) is None
