"""Whoever runs an execution begins and ends it, once each; what does not begin is not run."""

from __future__ import annotations

import pytest
from helpers.simulated import Simulation
from test_declarations import Noted
from test_schedulers import PROGRAMS

from lab.errors import Divergence, SearchOver
from lab.schedulers import make_scheduler
from lab.schedulers.guided import Guided
from lab.search import hunt as hunts
from lab.testing import Lab
from scenarios.transfer import Transfer

WHOLE = ["choose", "end"]


async def test_the_explorer_begins_and_ends_an_execution_with_its_number(explorer):
    scheduler = Noted(make_scheduler("random", 1))
    await explorer.run(Transfer(), scheduler, execution=7)
    await explorer.run(Transfer(), scheduler)
    assert scheduler.calls == ["begin 7", *WHOLE, "begin 0", *WHOLE]


async def test_a_scheduler_whose_search_is_over_is_not_run(explorer):
    scheduler = Noted(make_scheduler("random", 1), over=2)
    with pytest.raises(SearchOver, match="the scheduler has no execution 3"):
        await explorer.run(Transfer(), scheduler, execution=2)
    assert scheduler.calls == ["begin 2"]


async def test_an_execution_that_was_broken_off_has_no_end(explorer):
    class Refuses(Noted):
        def choose(self, choices):
            super().choose(choices)
            raise Divergence("…")

    scheduler = Refuses(Guided(()))
    with pytest.raises(Divergence):
        await explorer.run(Transfer(), scheduler)
    assert scheduler.calls == ["begin 0", "choose"]


async def test_with_a_serial_yardstick_the_scheduler_still_begins_and_ends_once(explorer):
    """Serial runs that an execution is compared with have a scheduler of their own."""
    scheduler = Noted(make_scheduler("random", 1))
    await explorer.run(Transfer(), scheduler, checks=("serial",))
    assert scheduler.calls == ["begin 0", *WHOLE]


async def test_a_hunt_ends_with_the_search(explorer, monkeypatch):
    scheduler = Noted(make_scheduler("random", 1), over=2)
    monkeypatch.setattr(hunts, "make_scheduler", lambda *args, **options: scheduler)
    result = await hunts.Hunt.of(Transfer(), scheduler="random", executions=9).run(explorer)
    assert (result.executions, result.exhausted, result.complete) == (2, True, False)
    assert scheduler.calls == ["begin 0", *WHOLE, "begin 1", *WHOLE, "begin 2"]


async def test_a_hunt_that_begins_later_shows_a_sampler_that_measures_execution_0_first(explorer, monkeypatch):
    scheduler = Noted(make_scheduler("urw", 1))
    monkeypatch.setattr(hunts, "make_scheduler", lambda *args, **options: scheduler)
    await hunts.Hunt.of(Transfer(), scheduler="urw", executions=1, first=5).run(explorer)
    assert scheduler.calls == ["begin 0", *WHOLE, "begin 5", *WHOLE]


async def test_a_test_of_a_user_begins_and_ends_what_it_checks(explorer):
    scheduler = Noted(make_scheduler("urw", 1))
    lab = Lab(explorer)
    await lab.check(Transfer(), scheduler)
    assert scheduler.calls == ["begin 0", *WHOLE, "begin 0", *WHOLE]
    again = Noted(make_scheduler("urw", 1))
    await lab.check(Transfer(), again)
    assert again.calls == ["begin 0", "end", "begin 0", *WHOLE], "the serial run is known by now"


@pytest.mark.parametrize(
    "run", [PROGRAMS["two"].run, Simulation({"a": 2, "b": 1}, lambda names: []).record], ids=["program", "simulation"]
)
def test_so_do_the_programs_that_tests_simulate(run):
    scheduler = Noted(Guided(()))
    run(scheduler)
    assert scheduler.calls == ["begin 0", *WHOLE]
