"""The planted bugs of the catalogue as they are told: each story fits a screen, and says what the failure needed."""

from __future__ import annotations

from functools import partial

import pytest

from lab.explore import Conditions
from lab.model.record import Failure
from lab.model.replay_token import decode, scenario_of
from lab.report.places import places_of
from lab.report.relevance import needed_text
from lab.report.section import Message, laid_out
from lab.report.story import SECTION
from lab.scenario.declare import kind_of, planted_bug_of
from lab.scenario.registry import discover
from lab.schedulers.replay import Replay
from lab.shrink.relevance import relevance

PLANTED = [cls for cls in discover() if kind_of(cls) == "planted"]
COLUMNS, LINES = 100, 40
NOT_TO_BE_TAKEN_AWAY = {"CommitNotAwaited": "its crash comes in every execution"}


def test_the_catalogue_is_whole():
    assert len(PLANTED) >= 70
    assert {cls.__name__ for cls in PLANTED} > NOT_TO_BE_TAKEN_AWAY.keys()


@pytest.mark.parametrize("cls", PLANTED, ids=lambda cls: cls.__name__)
async def test_its_story_fits_a_screen_and_says_what_was_needed(explorer, cls):
    """As it is printed, with the lines of code.

    Its token is that of a minimised failure: what it has of preemptions, faults and pauses was needed.
    """
    token = decode(planted_bug_of(cls).token)
    scenario, conditions = scenario_of(token, cls), Conditions(token.isolation or None)
    record = await explorer.run(scenario, Replay(token.schedule), conditions, recorded=True, origins=True)
    told = await relevance(record, partial(explorer.run, scenario, conditions=conditions))
    section = laid_out([SECTION], Message(record, Failure(record, "", record, relevance=told)))
    lines = section.splitlines()
    assert places_of(record)
    assert all(place in "".join(section.split()) for place in places_of(record).values())
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    if (record.trace.preemptions or record.trace.extras) and cls.__name__ not in NOT_TO_BE_TAKEN_AWAY:
        assert needed_text(told)
