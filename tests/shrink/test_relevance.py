"""What a failure needs and what not: every claim is what a run showed, and nothing that was run is left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.decided import decided
from helpers.kit import Order
from helpers.simulated import Simulation
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.model.record import Relevance, Turned
from lab.report.relevance import irrelevant_text, needed_text, passes_text, relevance_lines
from lab.report.story import WIDTH
from lab.schedulers.guided import Wished
from lab.search.hunt import Hunt
from lab.shrink.minimise import minimise
from lab.shrink.relevance import relevance
from scenarios.atomicity import OneLegPerCommit
from scenarios.deadlock import AdvisoryLocksInOppositeOrder, PriceListsInOrderOfTheFile, RetryOfTheLastStatement
from scenarios.transfer import LostUpdate

STEPS = {"ann": 2, "ben": 2, "cleo": 2}


def lost(order: list[str]) -> list[str]:
    """Each of ann and ben reads before the other one writes; cleo does not matter."""
    first = {name: order.index(name) for name in ("ann", "ben")}
    second = {name: len(order) - 1 - order[::-1].index(name) for name in ("ann", "ben")}
    return ["lost"] if first["ann"] < second["ben"] and first["ben"] < second["ann"] else []


async def test_a_lost_update_needs_its_preemption_and_no_order_beside_it():
    """The reads may come in either order and so may the writes; who has no part in it may come first or last.

    Beside the preemption between the reads it would puzzle to read that their order is irrelevant.
    """
    simulation = Simulation(STEPS, lost)
    found = simulation.record(Wished(decided("ann ben ben ann cleo cleo")))
    simulation.runs = 0
    told = await relevance(found, simulation.run)
    passes = (Turned(4, 2),)
    assert told == Relevance((1,), (), ((1, 2), (3, 4)), ("cleo",), simulation.runs, passes=passes)
    assert needed_text(told) == "the preemption after #1"
    assert irrelevant_text(told) == "the order of #3 and #4; whether cleo runs first or last"


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
    assert irrelevant_text(told).endswith("of #8 and #9, 51 more; whether cleo and dan run first or last")
    assert all(len(line) <= WIDTH for line in relevance_lines(replace(told, bystanders=("x" * 100, "dan"))))
    assert list(relevance_lines(Relevance())) == []


async def test_where_the_failing_actor_would_go_on_its_preemption_is_needed_all_the_same(explorer):
    """Without the deadlock the victim has more steps than its trace, and whoever waited goes on without a wait."""
    for scenario, order in (
        (AdvisoryLocksInOppositeOrder(), "alice bob bob alice alice bob bob bob bob"),
        (RetryOfTheLastStatement(), "ann cleo cleo ben ben ann ann ann cleo cleo ben ben ann ann"),
    ):
        found = await explorer.run(scenario, Order(order))
        assert found.failed
        told = await relevance(found, lambda scheduler, of=scenario: explorer.run(of, scheduler))
        assert told.preemptions == (1,)
        assert all(turned.onward in {"alice", "ann"} for turned in told.passes)
        assert "and all that a" in passes_text(told)


async def test_a_pause_without_which_nothing_breaks_is_needed(explorer):
    """The bulk statements meet half-way only because one of them pauses between two rows."""
    scenario = PriceListsInOrderOfTheFile()
    (failure,) = (await Hunt.of(scenario).run(explorer)).failures
    assert failure.needed == "the preemption after #1, and the pause in #1"


async def test_where_nothing_overlaps_the_order_may_be_what_is_needed():
    """Who comes first decides; if it does not, nothing is said."""
    simulation = Simulation(STEPS, lambda order: ["broken"] if order.index("ann") < order.index("ben") else [])
    told = await relevance(simulation.record(Wished(decided("ann ann ben ben cleo cleo"))), simulation.run)
    assert told.passes == (Turned(4, 1),)
    assert (needed_text(told), passes_text(told)) == ("#1 before #4", "#4 comes before #1")
    always = Simulation(STEPS, lambda order: ["broken"])
    told = await relevance(always.record(Wished(decided("ann ann ben ben cleo cleo"))), always.run)
    assert (needed_text(told), passes_text(told)) == ("", "")


def test_preemptions_of_which_each_can_be_spared_are_counted():
    """As many as every schedule with fewer was run without; what is named by itself is not counted again."""
    assert needed_text(Relevance(), at_least=2) == "2 preemptions"
    assert needed_text(Relevance(preemptions=(3,)), at_least=1) == "the preemption after #3"


def test_what_passes_is_put_in_as_few_words_as_it_takes():
    """Steps that come before the same ones are put together, and so are those before which the same ones come."""
    several = (Turned(8, 3), Turned(13, 3), Turned(12, 4), Turned(12, 8), Turned(6, 2, "ann"))
    assert passes_text(Relevance(passes=several)) == (
        "#8 and #13 come before #3, #12 comes before #4 and #8 and #6 and all that ann does then come before #2"
    )
