"""Comparisons of schedulers over made-up searches: who leads, who is left out, and when the answer is certain."""

from __future__ import annotations

import random

import pytest

from lab.analysis.searches import ERROR, Look, Searches, Trial, behind, by_coverage, error_of, is_certain, leader
from lab.analysis.standings import Standings
from lab.report.tuning import sentence

CAP = 100


def by_chance(name: str, chance: float, seeds: int, seed: int = 0, **more) -> Searches:
    """Searches each of whose executions meets the violation with this chance."""
    draws = random.Random(f"{name} {seed}")
    trials = []
    for number in range(seeds):
        executions = next((i for i in range(1, CAP + 1) if draws.random() < chance), CAP + 1)
        met = executions <= CAP
        run = min(executions, CAP)
        trials.append(Trial(number, run, met, seconds=0.01 * run, run=run, samples=run, met_sample=met))
    return Searches(name, name, trials=trials, **more)


def always(name: str, executions: int, *, met: bool = True, **more) -> Searches:
    """A search that no seed changes."""
    trial = Trial(0, executions, met, seconds=0.01 * executions, run=executions)
    return Searches(name, name, by_chance=False, trials=[trial], **more)


def look(*searches: Searches, **more) -> Look:
    return Look(searches, CAP, **more)


def covering(name: str, traces: list[int], outcomes: int = 2, **more) -> Searches:
    trials = [Trial(i, 20, met=False, seconds=0.2, run=20, covered=20, traces=each, pairs=5, outcomes=outcomes)
              for i, each in enumerate(traces)]  # fmt: skip
    return Searches(name, name, trials=trials, **more)


def test_the_shares_of_all_looks_together_are_the_whole_error():
    assert sum(error_of(number) for number in range(1, 100_000)) == pytest.approx(ERROR, rel=1e-4)


def test_the_best_leads_and_the_default_where_it_is_as_good():
    usual, better, near = always("portfolio", 10, is_default=True), always("dpor", 5), always("directed", 10)
    assert leader(look(usual, better)) is better
    assert leader(look(near, usual)) is usual


def test_a_much_worse_one_is_left_out_and_equal_ones_are_not():
    good, same, bad = by_chance("a", 0.3, 20), by_chance("b", 0.3, 20), by_chance("c", 0.02, 20)
    assert behind(look(good, same, bad), 1) == [bad]


def test_equal_ones_are_seldom_left_out_however_often_one_looks():
    """60 comparisons of three equal ones, each looked at after 10, 20 and 30 seeds. With an error of at most 5 %, more
    than 9 of them go wrong with a chance of 0.001 (binomial); the seeds are fixed."""
    wrong = 0
    for number in range(60):
        three = [by_chance(name, 0.1, 30, seed=number) for name in "abc"]
        wrong += any(
            behind(look(*(Searches(each.name, each.name, trials=each.trials[: 10 * k]) for each in three)), k)
            for k in (1, 2, 3)
        )
    assert wrong <= 9


def test_the_answer_is_certain_where_no_other_can_be_much_better():
    few, many = (always("a", 2), by_chance("b", 0.4, 5)), (always("a", 2), by_chance("b", 0.1, 60))
    assert not is_certain(look(*few), 1)
    assert is_certain(look(*many), 1)
    assert not is_certain(look(by_chance("a", 0.1, 30, seed=1), by_chance("b", 0.1, 30, seed=1)), 1)
    assert is_certain(look(by_chance("a", 0.1, 900), by_chance("b", 0.1, 900)), 1)


def test_a_search_that_was_to_be_short_does_not_count_as_a_short_way_to_the_violation():
    short = Searches("a", "a", trials=[Trial(1, 3, met=True, whole=False), Trial(2, 20, met=False, whole=False)])
    assert short.figures(2, CAP) == []
    assert short.times().met == (True, False)


def test_in_seconds_a_scheduler_pays_for_what_its_executions_take():
    quick, slow = always("quick", 6), always("slow", 5)
    slow.trials[0] = Trial(0, 5, met=True, seconds=5.0, run=5)
    assert leader(look(quick, slow)) is slow
    assert leader(look(quick, slow, in_seconds=True)) is quick


def test_by_coverage_none_leads_where_all_show_as_much_and_one_does_where_it_shows_more():
    draws = random.Random(1)
    same = [covering(name, [draws.randint(5, 9) for _ in range(20)]) for name in "ab"]
    usual = covering("portfolio", [draws.randint(5, 9) for _ in range(20)], is_default=True)
    more = covering("pos", [15 + number % 3 for number in range(20)])
    blind = covering("urw", [18 + number % 3 for number in range(20)], outcomes=1)
    assert by_coverage(look(usual, *same))[0] is None
    assert by_coverage(look(usual, *same, more))[0] is more
    assert by_coverage(look(usual, more, blind))[0] is more, "the other one shows fewer outcomes"


def test_the_sentence_says_what_the_figures_come_to():
    def said(*searches: Searches, seeds: int = 20, **more) -> str:
        return sentence(Standings("races:Transfer", searches, CAP, seeds=seeds, **more).judged())

    usual, random_walk = always("portfolio", 20, is_default=True), by_chance("random", 0.5, 20)
    assert said(usual, random_walk, certain=True).startswith("Use random: it needs 1.8 executions")
    assert "the portfolio 20.0; that none needs fewer by a factor of 1.2 is certain after 20 seeds" in said(
        usual, random_walk, certain=True
    )
    assert "1 other may be as good or better" in said(usual, random_walk)
    same = by_chance("pos", 0.5, 20, seed=1), by_chance("urw", 0.5, 20, seed=1)
    assert said(*same).startswith("Nothing separates them after 20 seeds: all need about as many executions")
    assert said(by_chance("pos", 0.5, 2), by_chance("urw", 0.5, 2), seeds=2).startswith("2 seeds are too few")
    assert said(usual) == "Too little was run to compare anything."
    none = covering("pos", [5] * 20), covering("urw", [5] * 20)
    assert said(*none).startswith("Nothing separates them: no scheduler met a violation in 800 executions, and none")
