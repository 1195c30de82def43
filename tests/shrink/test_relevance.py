"""What a failure needs and what not: every claim is what a run showed, and nothing that was run is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.decided import decided
from helpers.kit import Order
from helpers.simulated import Simulation
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.model.record import Relevance
from lab.report.relevance import irrelevant_text, needed_text, relevance_lines
from lab.report.story import WIDTH
from lab.schedulers.guided import Wished
from lab.search.hunt import Hunt
from lab.shrink.minimise import minimise
from lab.shrink.relevance import relevance
from scenarios.atomicity import OneLegPerCommit
from scenarios.transfer import LostUpdate

STEPS = {"ann": 2, "ben": 2, "cleo": 2}


def lost(order: list[str]) -> list[str]:
    """Each of ann and ben reads before the other one writes; cleo does not matter."""
    first = {name: order.index(name) for name in ("ann", "ben")}
    second = {name: len(order) - 1 - order[::-1].index(name) for name in ("ann", "ben")}
    return ["lost"] if first["ann"] < second["ben"] and first["ben"] < second["ann"] else []


async def test_a_lost_update_needs_its_preemption_and_no_order_beside_it():
    """The reads may come in either order and so may the writes; who has no part in it may come first or last."""
    simulation = Simulation(STEPS, lost)
    found = simulation.record(Wished(decided("ann ben ben ann cleo cleo")))
    simulation.runs = 0
    told = await relevance(found, simulation.run)
    assert told == Relevance((1,), (), ((1, 2), (3, 4)), ("cleo",), simulation.runs)
    assert needed_text(told) == "the preemption after #1"
    assert irrelevant_text(told) == "the order of #1 and #2, of #3 and #4; whether cleo runs first or last"


async def test_what_makes_a_difference_is_not_called_irrelevant():
    """With orders that matter, nothing is claimed of them."""
    simulation = Simulation(STEPS, lambda order: ["broken"] if "".join(n[0] for n in order) == "abbacc" else [])
    told = await relevance(simulation.record(Wished(decided("ann ben ben ann cleo cleo"))), simulation.run)
    assert (told.preemptions, told.swaps, told.bystanders) == ((1,), (), ())


async def test_a_preemption_that_is_not_needed_is_not_called_needed():
    """Of a failure that was not minimised, only what each run shows is told."""
    simulation = Simulation(STEPS, lost)
    told = await relevance(simulation.record(Wished(decided("ann ben cleo ben ann cleo"))), simulation.run)
    assert told.preemptions == (1,)


@settings(deadline=None, max_examples=50)  # a busy machine is no defect
@given(st.permutations([name for name, steps in STEPS.items() for _ in range(steps)]), st.integers(0, 12))
async def test_every_claim_is_true_and_the_budget_is_kept(names, budget):
    """A minimised failure needs each of its preemptions; swapped steps break the same when they are really swapped."""
    simulation = Simulation(STEPS, lost)
    found = simulation.record(Wished(decided(names)))
    if not found.failed:
        return
    smallest = (await minimise(found, simulation.run)).record
    simulation.runs = 0
    told = await relevance(smallest, simulation.run, budget=budget)
    assert told.executions == simulation.runs <= budget
    order = [step.actor for step in smallest.trace]
    for one, other in told.swaps:
        swapped = list(order)
        swapped[one - 1], swapped[other - 1] = swapped[other - 1], swapped[one - 1]
        assert lost(swapped)
    if budget >= 10:
        assert len(told.preemptions) == smallest.trace.preemptions == 1


@pytest.mark.parametrize(
    ("scenario", "needed"), [(LostUpdate(), "the preemption after #"), (OneLegPerCommit(), "the fault #")]
)
async def test_on_the_server_a_hunt_tells_what_its_failure_needs(explorer, scenario, needed):
    """As data and in the report; and whatever is told irrelevant is there too."""
    result = await Hunt.of(scenario).run(explorer)
    (failure,) = result.failures
    assert failure.needed.startswith(needed)
    assert f"\nNeeded: {failure.needed}\n" in failure.report
    assert f"\nIrrelevant: {failure.irrelevant}\n" in failure.report
    assert failure.least


async def test_a_swap_of_statements_that_wait_is_tried_as_far_as_locks_allow(explorer):
    """The second write, moved before the first one's commit, waits; the update is lost all the same."""
    found = await explorer.run(LostUpdate(), Order("alice alice bob bob bob bob alice alice"))
    told = await relevance(found, lambda scheduler: explorer.run(LostUpdate(), scheduler))
    assert (told.preemptions, told.swaps) == ((2,), ((2, 3), (6, 7)))


def test_long_claims_are_cut_and_none_says_nothing():
    """At most six of a kind are spelled out, no line is too wide, and no claim makes no line."""
    told = Relevance((1, 2), (3,), tuple((n, n + 1) for n in range(1, 60)), ("cleo", "dan"))
    assert needed_text(told) == "the preemptions after #1 and #2, and the fault #3"
    assert irrelevant_text(told).endswith("of #6 and #7, 53 more; whether cleo and dan run first or last")
    assert all(len(line) <= WIDTH for line in relevance_lines(replace(told, bystanders=("x" * 100, "dan"))))
    assert list(relevance_lines(Relevance())) == []
