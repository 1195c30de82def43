"""Every shipped scenario is what it says: a right variant holds, a planted bug is found and its token replays it."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.kit import searched

from lab.explore import Conditions
from lab.model.replay_token import decode, scenario_of
from lab.scenario.declare import actors_of, invariants_of, kind_of, planted_bug_of
from lab.scenario.registry import discover
from lab.schedulers import make_scheduler
from lab.schedulers.serial import Serial
from lab.shrink.replays import replay_times

SHIPPED = discover()
RIGHT = [cls for cls in SHIPPED if kind_of(cls) == "right"]
PLANTED = [cls for cls in SHIPPED if kind_of(cls) == "planted"]
FAIL_WITHOUT_ANY_RACE = {
    "CacheFilledBeforeTheCommit",
    "CommitNotAwaited",
    "ConfirmedBySessionOfTheRequest",
    "CreditKeptAfterRefusal",
    "DebitCommittedFirst",
    "MarkedDoneBeforeTheWork",
    "NoCascade",
    "OffDutyBeforeOn",
    "StatusIsAnyText",
}
"""Planted bugs that one order of whole requests shows too; all others need requests that overlap."""

by_name = pytest.mark.parametrize("cls", SHIPPED, ids=lambda cls: cls.__name__)
by_planted_bug = pytest.mark.parametrize("cls", PLANTED, ids=lambda cls: cls.__name__)


def test_short_names_are_unique():
    """So every shipped scenario can be hunted by its class name alone."""
    names = [cls.__name__ for cls in SHIPPED]
    assert sorted(names) == sorted(set(names))


def test_the_catalogue_is_large_enough():
    """Twenty invariants at least, and at least as many planted bugs."""
    assert len({(cls.__module__, each.name) for cls in RIGHT for each in invariants_of(cls)}) >= 20
    assert len(PLANTED) >= 20


@by_name
def test_a_scenario_says_what_it_is_in_words(cls):
    """The docstrings of the class, its actors and its invariants are what documents are written from."""
    assert vars(cls).get("__doc__", "").strip()
    assert not cls.__doc__.startswith(f"{cls.__name__}(")  # that is what a dataclass writes when there is none
    for each in (*actors_of(cls), *invariants_of(cls)):
        assert getattr(cls, each.attribute).__doc__, each.attribute
    assert 2 <= len(actors_of(cls)) <= 4
    assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(cls))


@by_planted_bug
def test_a_planted_bug_names_cause_and_fix_and_its_right_variant(cls):
    """In one sentence each, without a full stop, so that a report can set them into its own."""
    bug = planted_bug_of(cls)
    assert kind_of(bug.of) == "right"
    assert actors_of(cls)[0].name in {actor.name for actor in actors_of(bug.of)}
    for sentence in (bug.cause, bug.fix):
        assert sentence
        assert not sentence.endswith(".")
        assert "\n" not in sentence


@pytest.mark.long  # in fewer executions, and by the default scheduler, it is found in `tests/quality`
@pytest.mark.parametrize("seed", [1, 2, 3])
@by_planted_bug
async def test_a_planted_bug_is_found(plain, cls, seed):
    """Within 300 random executions. That a right variant holds in as many as these is shown by `test_two_checkers`."""
    assert await found(plain, cls, seed=seed, executions=300)


TURNS_NEEDED = {"BacksOffWithLocksHeld": 4}
"""Two who keep each other from going on have to take turns at that."""


@by_planted_bug
async def test_the_token_of_a_planted_bug_replays_it(plain, cls):
    """Three times, identically, and an invariant is broken each time."""
    token = decode(planted_bug_of(cls).token)
    replays = await replay_times(plain, scenario_of(token, cls), token.schedule, Conditions(), 3)
    assert replays.identical == 3, replays.divergence
    assert replays.record.failed
    turns = TURNS_NEEDED.get(cls.__name__, 1)
    assert replays.record.trace.preemptions <= turns  # it is a minimised one


@by_planted_bug
async def test_a_planted_bug_needs_requests_that_overlap(plain, cls):
    """No order of whole requests shows it, but for those that are listed."""
    broken = [record.failed async for record in searched(plain, cls(), Serial())]
    assert any(broken) == (cls.__name__ in FAIL_WITHOUT_ANY_RACE)


async def found(explorer, cls, *, seed: int, executions: int) -> bool:
    """Whether a random search with this seed finds a violation."""
    scheduler = make_scheduler("random", seed)
    for number in range(executions):
        if (await explorer.run(cls(), scheduler, execution=number)).failed:
            return True
    return False
