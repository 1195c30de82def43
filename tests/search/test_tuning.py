"""Schedulers compared on real scenarios: the searches are those of a hunt, and what is known is kept."""

from __future__ import annotations

import asyncio
import math

import pytest

from lab.analysis.standings import Standings
from lab.errors import Divergence, UsageError
from lab.explore import Conditions
from lab.report.tuning import sentence
from lab.schedulers.random_walk import RandomWalk
from lab.search.hunt import INTERRUPTED, Hunt
from lab.search.job import Job
from lab.search.tuning.candidates import USUAL, Candidate, candidates
from lab.search.tuning.race import Race
from lab.search.tuning.recommendation import recommended
from lab.search.tuning.samples import COVERED, Subject, searched
from lab.search.tuning.subjects import subjects
from lab.search.tuning.tuned import as_tuned
from scenarios.pessimistic import Withdrawals
from scenarios.transfer import LostUpdate, TwoTransactions

AS_IT_STANDS = Conditions()
LOST = Subject(LostUpdate(), AS_IT_STANDS)
RIGHT = Subject(Withdrawals(), AS_IT_STANDS)
LONG = 60.0
"""Seconds: none of these comparisons is ended by its time."""


def race(subject: Subject, schedulers: str, *, seeds: int = 4, cap: int = 30, seconds: float = LONG, **more) -> Race:
    return Race(subject, candidates(schedulers), seeds=seeds, cap=cap, seconds=seconds, **more)


@pytest.mark.parametrize("name", ["random", "pct(depth=2)", "portfolio", "dpor"])
async def test_a_search_ends_with_the_execution_with_which_a_hunt_ends(explorer, name):
    (candidate, _) = candidates(f"{name},serial")
    trial = await searched(explorer, LOST, candidate, 3, 30, 30, math.inf)
    job = {"scheduler": candidate.scheduler, "options": candidate.options, "executions": 30, "refine": False, "seed": 3}
    hunted = await Hunt.of(LostUpdate(), **job).run(explorer)
    assert (trial.executions, trial.met) == (hunted.executions, bool(hunted.failures))
    assert trial.whole


async def test_a_search_that_is_over_would_never_meet_it(explorer):
    """There are fewer serial orders than the cap, and none breaks anything: it counts as one that came to the cap."""
    trial = await searched(explorer, LOST, Candidate("serial"), 0, 30, 30, math.inf)
    assert (trial.executions, trial.met, trial.run, trial.whole) == (30, False, 2, True)


async def test_only_the_invariant_that_is_asked_for_counts(explorer):
    subject = Subject(TwoTransactions(), AS_IT_STANDS, bug="deadlocks")
    any_of_them = await searched(explorer, Subject(TwoTransactions(), AS_IT_STANDS), Candidate("random"), 1, 9, 9, 1e9)
    assert any_of_them.met
    assert not (await searched(explorer, subject, Candidate("random"), 1, 9, 9, 1e9)).met


async def test_a_race_names_the_scheduler_that_needs_fewest_executions(explorer):
    """Serial runs never meet it, and are certainly worse; of those that no seed changes there is one search."""
    seen = []
    found = await race(LOST, "serial,random", progress=lambda result: seen.append(result.executions)).run(explorer)
    judged = found.judged()
    assert judged.first is not None
    assert (judged.first.name, judged.separated, found.trouble) == ("random", True, "")
    assert [len(each.trials) for each in found.searches] == [1, found.seeds]
    assert seen[-1] == found.executions
    assert sentence(judged).startswith("Use random: it needs ")
    advice = recommended([found], ["LostUpdate"])
    assert advice.lines == ('tuned."scenarios.transfer:LostUpdate" = {scheduler = "random"}',)
    assert advice.turns is None, "not every sampler was run"


async def test_on_a_right_scenario_nothing_separates_them(explorer):
    found = await race(RIGHT, "portfolio,random,dpor", seeds=3).run(explorer)
    assert (found.found, found.seeds, found.trouble) == (0, 3, "")
    assert all(trial.run <= COVERED for each in found.searches for trial in each.trials)
    assert sentence(found.judged()).startswith("Nothing separates them: no scheduler met a violation in ")
    assert recommended([found], ["Withdrawals"]).turns is None


async def test_equal_seeds_give_equal_searches_and_others_do_not(explorer):
    async def executions(*seeds: int) -> list[int]:
        candidate = Candidate("pct", {"depth": 2})
        return [(await searched(explorer, LOST, candidate, seed, 30, 30, math.inf)).executions for seed in seeds]

    assert await executions(*range(6)) == await executions(*range(6))
    assert await executions(*range(6)) != await executions(*range(1000, 1006))


async def test_who_cannot_repeat_executions_is_left_aside_with_the_reason(explorer, monkeypatch):
    def diverge(self, choices):
        raise Divergence("met other choices")

    monkeypatch.setattr(RandomWalk, "choose", diverge)
    found = await race(LOST, "portfolio,random,serial").run(explorer)
    assert [each.trouble for each in found.searches] == ["", "met other choices", ""]
    assert [each.name for each in found.able] == ["portfolio", "serial"]
    assert found.judged().first is not None


async def test_an_interruption_keeps_what_is_known(explorer):
    """It comes after the fourth search, at whatever point that is noticed."""
    tuning = race(LOST, "random,pos", seeds=1000)
    ran = asyncio.current_task()
    assert ran is not None

    def progress(found: Standings) -> None:
        if sum(len(each.trials) for each in found.searches) == 4:
            ran.cancel()

    tuning.progress = progress
    found = await tuning.run(explorer)
    ran.uncancel()
    assert found.trouble == INTERRUPTED
    assert [len(each.trials) for each in found.searches] == [2, 2]
    assert all(found.judged().figures(each).mean is not None for each in found.searches)


async def test_without_time_there_is_nothing_to_compare(explorer):
    found = await race(LOST, "random,pos", seconds=0.0).run(explorer)
    assert found.executions <= 1
    assert sentence(found.judged()) == "Too little was run to compare anything."


def test_candidates_are_named_with_their_options():
    assert [each.name for each in candidates(USUAL)] == USUAL.split(",")
    assert candidates("pct( depth = 2 ), dfs(preemptions=1),pct(depth=2)") == (
        Candidate("pct", {"depth": 2}),
        Candidate("dfs", {"preemptions": 1}),
    )
    for text, told in {
        "random,best": "unknown scheduler 'best'",
        "random,pct(depth=0)": "is at least 1, not 0",
        "random,pct(deep)": "'deep' is no option; write for example pct(depth=2)",
        "random,pos(depth=2)": "the scheduler 'pos' has no option 'depth'",
        "random,,pos": "'' names no scheduler",
        "random": "one scheduler alone, 'random', cannot be compared",
    }.items():
        with pytest.raises(UsageError) as error:
            candidates(text)
        assert told in str(error.value), text


def test_a_target_is_a_scenario_or_all_of_a_module():
    assert {type(each).__name__ for each in subjects(["scenarios.transfer"])} >= {"Transfer", "LostUpdate"}
    assert [type(each) for each in subjects(["scenarios.transfer:LostUpdate", "LostUpdate"])] == [LostUpdate]
    for targets, bug, told in (
        (["scenarios.nothing"], "", "no scenario named"),
        (["scenarios.transfer:Nothing"], "", "no scenario 'Nothing'"),
        (["json"], "", "json holds no scenario"),
        (["LostUpdate"], "no such thing", "has no invariant 'no such thing'"),
    ):
        with pytest.raises(UsageError) as error:
            subjects(targets, bug)
        assert told in str(error.value), targets


def test_a_hunt_takes_what_tool_lab_says_of_its_scenario_unless_a_scheduler_is_chosen(tmp_path, monkeypatch):
    lines = """[tool.lab]
tuned."races" = {scheduler = "portfolio", options = {random = 3, urw = 1}}
tuned."races.bank:Transfer" = {scheduler = "pct", options = {depth = 2}}
tuned."shop" = {scheduler = "best"}
"""
    (tmp_path / "pyproject.toml").write_text(lines)
    monkeypatch.chdir(tmp_path)
    for target, scheduler, options in (
        ("races.bank:Transfer", "pct", {"depth": 2}),
        ("races.bank:Other", "portfolio", {"random": 3, "urw": 1}),
        ("racesome:Other", "pos", {}),
    ):
        job = as_tuned(Job(target, "pos"), chosen=False)
        assert (job.scheduler, job.options) == (scheduler, options)
        assert as_tuned(Job(target, "pos"), chosen=True).scheduler == "pos"
    with pytest.raises(UsageError, match=r"pyproject.toml: \[tool.lab\] has tuned.'shop': unknown scheduler 'best'"):
        as_tuned(Job("shop.cart:Cart", "pos"), chosen=False)
