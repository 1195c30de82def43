"""Minimisation: smaller, the same violation, within its budget; first on simulated programs, then on the server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import Order

from lab.minimise import minimise
from lab.outcome import Ending, Outcome
from lab.record import ExecutionRecord, Finding
from lab.scenario import Scenario
from lab.schedulers import Alternative, Choices, Scheduler, make_scheduler
from lab.schedulers.guided import Guided
from lab.trace import Action, ActionKind, Step, Trace
from scenarios.transfer import LostUpdate

Broken = Callable[[list[str]], list[str]]


class Simulation:
    """Actors that take so many steps each; `broken` names what an order of steps breaks."""

    def __init__(self, steps: dict[str, int], broken: Broken) -> None:
        self.steps = steps
        self.broken = broken
        self.runs = 0

    def record(self, scheduler: Scheduler) -> ExecutionRecord:
        left, last, steps = dict(self.steps), None, []
        names = list(left)
        action = Action(ActionKind.POINT)
        while any(left.values()):
            first = names.index(last) if last else 0
            order = [name for name in names[first:] + names[:first] if left[name]]
            chosen = order[scheduler.choose(Choices(len(steps), tuple(Alternative(n, action) for n in order), last))]
            preempted = last if last and last != chosen and left[last] else ""
            steps.append(Step(len(steps) + 1, chosen, tuple(order), action, preempted=preempted))
            left[chosen] -= 1
            last = chosen
        findings = tuple(Finding("invariant", name, "") for name in self.broken([step.actor for step in steps]))
        return ExecutionRecord(
            Scenario(), "", Trace(tuple(steps), tuple(names)), Outcome(Ending.COMPLETED, {}), findings
        )

    async def run(self, scheduler: Scheduler) -> ExecutionRecord:
        self.runs += 1
        return self.record(scheduler)


def size(record: ExecutionRecord) -> tuple[int, int, int]:
    return record.trace.preemptions, record.trace.context_switches, len(record.trace)


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
    result = await minimise(found, simulation.run, budget=budget)
    assert result.executions == simulation.runs <= budget
    return result.record


@settings(deadline=None)  # a busy machine is no defect
@given(failing(), st.integers(0, 300))
async def test_what_comes_out_breaks_the_same_and_is_never_larger(case, budget):
    """Never another violation, never a larger schedule, never more executions than allowed."""
    simulation, found = case
    if not found.failed:
        return
    smallest = await minimal(simulation, found, budget)
    assert found.findings[0].key in {finding.key for finding in smallest.findings}
    assert size(smallest) <= size(found)


@settings(deadline=None)  # a busy machine is no defect
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
    assert size(await minimal(simulation, found)) == (1, 2, 8)


async def test_the_first_finding_is_the_goal():
    """An execution that breaks two things is shrunk towards the first, though the second would get smaller."""
    simulation = Simulation({"ann": 5, "ben": 5}, breaks)
    found = simulation.record(Guided([0] + [1] * 8))
    assert [finding.name for finding in found.findings] == ["wild", "ben between"]
    smallest = await minimal(simulation, found)
    assert smallest.findings[0].name == "wild"
    assert alternations([step.actor for step in smallest.trace]) == 5


@pytest.mark.parametrize("seed", range(3))
async def test_on_the_server_a_lost_update_ends_at_one_preemption(explorer, seed):
    """Found by chance, shrunk by running: one preemption, the same invariant, idempotent."""
    scheduler = make_scheduler("random", seed)
    for number in range(200):  # found in about every second execution: missed 200 times by chance in 1 of 2**200
        scheduler.begin(number)
        found = await explorer.run(LostUpdate(), scheduler)
        if found.failed:
            break
    run = partial(explorer.run, LostUpdate())
    smallest = await minimise(found, run)
    assert smallest.record.findings[0].key == found.findings[0].key
    assert smallest.record.trace.preemptions == 1
    assert smallest.executions <= 300
    assert size((await minimise(smallest.record, run)).record) == size(smallest.record)


async def test_without_a_budget_nothing_is_run(explorer):
    """A budget of 0 gives back what was found."""
    found = await explorer.run(LostUpdate(), Order("alice bob bob bob bob"))
    assert found.failed
    result = await minimise(found, partial(explorer.run, LostUpdate()), budget=0)
    assert (result.record, result.executions) == (found, 0)
