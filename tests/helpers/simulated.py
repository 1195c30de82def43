"""Actors that only take steps: what is needed to test a search without a server."""

from __future__ import annotations

from collections.abc import Callable

from helpers.decided import offer, step_of
from lab.model.choices import Choices
from lab.model.outcome import Ending, Outcome
from lab.model.record import ExecutionRecord, Finding
from lab.model.trace import Action, ActionKind, Trace
from lab.scenario.declare import Scenario
from lab.schedulers import Scheduler

Broken = Callable[[list[str]], list[str]]


class Simulation:
    """Actors that take so many steps each; `broken` names what an order of steps breaks."""

    def __init__(self, steps: dict[str, int], broken: Broken) -> None:
        self.steps = steps
        self.broken = broken
        self.runs = 0

    def record(self, scheduler: Scheduler) -> ExecutionRecord:
        assert scheduler.begin(0)
        left, last, steps = dict(self.steps), None, []
        names = list(left)
        action = Action(ActionKind.POINT)
        while any(left.values()):
            first = names.index(last) if last else 0
            order = [name for name in names[first:] + names[:first] if left[name]]
            chosen = order[scheduler.choose(Choices(len(steps), tuple(offer(n, action) for n in order), last))]
            preempted = last if last and last != chosen and left[last] else ""
            steps.append(step_of(len(steps) + 1, chosen, tuple(order), action, preempted=preempted))
            left[chosen] -= 1
            last = chosen
        findings = tuple(Finding("invariant", name, "") for name in self.broken([step.actor for step in steps]))
        trace = Trace(tuple(steps), tuple(names))
        scheduler.end(trace)
        return ExecutionRecord(Scenario(), "", trace, Outcome(Ending.COMPLETED, {}), findings)

    async def run(self, scheduler: Scheduler) -> ExecutionRecord:
        self.runs += 1
        return self.record(scheduler)
