"""Minimisation: smaller, the same violation, within its budget; first on simulated programs, then on the server."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest
from helpers.decided import decided
from helpers.kit import Order
from helpers.padded import PaddedRing
from helpers.simulated import Simulation
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.model.record import ExecutionRecord
from lab.schedulers import make_scheduler
from lab.schedulers.guided import Guided, Wished
from lab.shrink.minimise import minimise
from scenarios.transfer import LostUpdate

STEPS = {"ann": 3, "ben": 2, "cleo": 2}
NAMES = tuple(STEPS)


def size(record: ExecutionRecord) -> tuple[int, int, int, int]:
    trace = record.trace
    return trace.preemptions, len(trace.overlapping), trace.context_switches, len(trace)


def alternations(order: list[str]) -> int:
    return sum(a != b for a, b in pairwise(order))


def breaks(order: list[str]) -> list[str]:
    """Two kinds of violation: ben between two steps of ann, and a wild order."""
    between = "ben between" if "ben" in order[order.index("ann") : len(order) - order[::-1].index("ann")] else ""
    return [name for name in ("wild" if alternations(order) > 4 else "", between) if name]


@st.composite
def failing(draw: st.DrawFn) -> tuple[Simulation, ExecutionRecord]:
    steps = {name: draw(st.integers(2, 6)) for name in ("ann", "ben", "cleo")}
    simulation = Simulation(steps, breaks)
    record = simulation.record(Guided(draw(st.lists(st.integers(0, 2), min_size=20, max_size=20))))
    return simulation, record


async def minimal(simulation: Simulation, found: ExecutionRecord, budget: int = 300):
    simulation.runs = 0
    result = await minimise(found, simulation.run, budget=budget, search=budget)
    assert result.executions == simulation.runs <= budget
    return result.record


@settings(deadline=None, max_examples=60)  # a busy machine is no defect
@given(failing(), st.integers(0, 300))
async def test_what_comes_out_breaks_the_same_and_is_never_larger(case, budget):
    """Never another violation, never a larger schedule, never more executions than allowed."""
    simulation, found = case
    if not found.failed:
        return
    smallest = await minimal(simulation, found, budget)
    assert found.findings[0].key in {finding.key for finding in smallest.findings}
    assert size(smallest) <= size(found)


@settings(deadline=None, max_examples=25)  # a busy machine is no defect
@given(failing())
async def test_minimising_twice_changes_nothing(case):
    """What was minimised with budget to spare is as small as it gets."""
    simulation, found = case
    if not found.failed:
        return
    smallest = await minimal(simulation, found)
    if simulation.runs < 300:
        assert size(await minimal(simulation, smallest)) == size(smallest)


async def test_a_race_that_needs_one_preemption_ends_with_one():
    """A wild order in which ben comes between ends at one preemption and two context switches."""
    simulation = Simulation({"ann": 4, "ben": 4}, lambda order: [each for each in breaks(order) if each != "wild"])
    found = simulation.record(Guided([0, 1, 1, 1, 1, 1, 1]))
    assert found.trace.preemptions > 3
    assert size(await minimal(simulation, found)) == (1, 2, 2, 8)


@settings(deadline=None, max_examples=40)  # a busy machine is no defect
@given(st.sets(st.integers(0, 209), min_size=1, max_size=8), st.integers(0, 7))
async def test_there_is_no_schedule_with_fewer_preemptions(broken, chance):
    """Whichever of the 210 interleavings break: what comes out of any has the fewest preemptions of all."""
    every = list(interleavings(STEPS))
    wrong = {every[number] for number in broken}
    simulation = Simulation(STEPS, lambda order: ["broken"] if tuple(order) in wrong else [])
    failing = [simulation.record(Wished(decided(names))) for names in sorted(wrong)]
    assert all(record.failed for record in failing)
    simulation.runs = 0
    result = await minimise(failing[chance % len(failing)], simulation.run, budget=2000, search=2000)
    assert result.least
    assert result.record.trace.preemptions == min(record.trace.preemptions for record in failing)
    assert result.executions == simulation.runs <= len(every)  # none is run twice


def interleavings(steps: dict[str, int]) -> Iterator[tuple[str, ...]]:
    if not any(steps.values()):
        yield ()
    for name, left in steps.items():
        if left:
            yield from ((name, *rest) for rest in interleavings({**steps, name: left - 1}))


async def test_a_search_that_was_not_over_proves_nothing():
    """With a budget of a few executions the result is still a failure, and is not said to be the least."""
    simulation = Simulation(STEPS, lambda order: ["broken"] if alternations(order) > 5 else [])
    found = simulation.record(Wished(decided(NAMES * 3)))
    result = await minimise(found, simulation.run, budget=20)
    assert (result.least, result.record.failed) == (False, True)
    assert (await minimise(found, simulation.run, budget=2000, search=2000)).least


async def test_the_first_finding_is_the_goal():
    """An execution that breaks two things is shrunk towards the first, though the second would get smaller."""
    simulation = Simulation({"ann": 5, "ben": 5}, breaks)
    found = simulation.record(Guided([0] + [1] * 8))
    assert [finding.name for finding in found.findings] == ["wild", "ben between"]
    smallest = await minimal(simulation, found)
    assert smallest.findings[0].name == "wild"
    assert alternations([step.actor for step in smallest.trace]) == 5


@pytest.mark.parametrize("seed", range(3))
async def test_on_the_server_a_lost_update_ends_at_one_preemption(plain, seed):
    """Found by chance, shrunk by running: one preemption, the same invariant, idempotent."""
    scheduler = make_scheduler("random", seed)
    for number in range(200):  # found in about every second execution: missed 200 times by chance in 1 of 2**200
        found = await plain.run(LostUpdate(), scheduler, execution=number)
        if found.failed:
            break
    run = partial(plain.run, LostUpdate())
    smallest = await minimise(found, run)
    assert smallest.record.findings[0].key == found.findings[0].key
    assert smallest.record.trace.preemptions == 1
    assert smallest.executions <= 300
    assert size((await minimise(smallest.record, run)).record) == size(smallest.record)


async def test_a_search_for_fewer_preemptions_ends_after_its_executions():
    """It comes last, and proves nothing then; what was shrunk before stays."""
    simulation = Simulation(STEPS, lambda order: ["broken"] if alternations(order) > 5 else [])
    found = simulation.record(Wished(decided(NAMES * 3)))
    shrunk = await minimise(found, simulation.run, search=0)
    simulation.runs = 0
    result = await minimise(found, simulation.run, search=3)
    assert result.executions == simulation.runs == shrunk.executions + 3
    assert (result.least, result.late, size(result.record)) == (False, False, size(shrunk.record))


async def test_when_its_time_is_over_it_says_so():
    """Nothing is run behind the end, and what is smaller by then is kept. In time, nothing is said."""
    simulation = Simulation(STEPS, lambda order: ["broken"] if alternations(order) > 1 else [])
    found = simulation.record(Wished(decided(NAMES * 3)))
    simulation.runs = 0
    result = await minimise(found, simulation.run, seconds=0)
    assert (result.executions, simulation.runs, result.late, result.least) == (0, 0, True, False)
    assert result.record is found
    assert not (await minimise(found, simulation.run, seconds=600)).late


async def test_a_padded_ring_is_minimised_in_a_hundred_executions(plain):
    """Four actors of nine statements: three preemptions, as before; more than two thirds were spent on a proof."""
    scheduler = make_scheduler("portfolio", 0)
    _, found = [await plain.run(PaddedRing(), scheduler, execution=number) for number in range(2)]
    assert found.failed
    result = await minimise(found, partial(plain.run, PaddedRing()))
    trace = result.record.trace
    assert (trace.preemptions, trace.context_switches, len(trace)) == (3, 9, 43)
    assert result.executions <= 320 // 3


async def test_without_a_budget_nothing_is_run(plain):
    """A budget of 0 gives back what was found."""
    found = await plain.run(LostUpdate(), Order("alice bob bob bob bob"))
    assert found.failed
    result = await minimise(found, partial(plain.run, LostUpdate()), budget=0)
    assert (result.record, result.executions) == (found, 0)
