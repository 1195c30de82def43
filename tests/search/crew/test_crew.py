"""A search with workers: it reports what it reports alone, whatever they do, and takes what they made."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice

import pytest
from helpers.kit import Account, Bank
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor, invariant
from lab.analysis.tally import ONE_TRACE, HuntResult
from lab.explore import Explorer
from lab.model.starts import Starts
from lab.postgres.server.server import Server
from lab.scenario.declare import Scenario
from lab.schedulers import SCHEDULERS, Shared
from lab.schedulers.course import Course
from lab.schedulers.portfolio import PROLOGUE
from lab.search.crew import crew as module
from lab.search.crew.crew import Crew
from lab.search.crew.desk import Figures
from lab.search.crew.made import Made
from lab.search.crew.maker import Maker
from lab.search.hunt import Hunt
from lab.search.job import Job
from lab.search.workers import perform

LOST, RIGHT = "scenarios.transfer:LostUpdate", "scenarios.transfer:Transfer"
RING = "scenarios.deadlock:RingOfTwo"


@dataclass(frozen=True)
class Brittle(Bank):
    """Breaks nothing; its tests say that it did elsewhere."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))
        await session.commit()

    @actor
    async def ben(self, session: AsyncSession) -> None:
        await self.ann(session)

    @invariant
    async def nothing_is_lost(self, session: AsyncSession) -> None: ...


class Elsewhere(Crew):
    """Others make at once what is foreseen behind the next execution, in a process of their own: by an explorer."""

    def __init__(self, job: Job, explorer: Explorer, look: int) -> None:
        super().__init__(Nobody(), job)
        self.explorer, self.look = explorer, look
        self.maker: Maker | None = None
        self.job = job

    async def execution(
        self, scheduler: Shared, number: int, make: Callable[[Course], Awaitable[Made]]
    ) -> tuple[Course, Made] | None:
        """Every third execution is made by the search's own process before it comes to it."""
        self.maker = self.maker or await Maker.ready(self.explorer, self.job)
        left = self.job.first + self.job.executions - number
        ahead = list(islice(self._desk.foreseen(scheduler.courses(number), left), self.look))
        for place, course in enumerate(list(self._desk.free(iter(ahead[1:])))):
            if (number + place) % 3:
                self._desk.give(course, 0)
                self._desk.came(0, Made.load((await self.maker.make(course)).dump()))
            else:
                self._desk.came(None, await make(course))
        made = self._desk.take(ahead[0].key) if ahead else None
        return None if made is None else (ahead[0], made)


class Nobody:
    """No workers at all."""

    workers: Collection[int] = ()
    prepared: int = 0

    def prepare(self) -> None:
        self.prepared += 1

    def start(self) -> None: ...

    def give(self, worker: int, courses: Sequence[Course]) -> None: ...

    def answers(self) -> Sequence[tuple[int, Made]]:
        return ()

    def gone(self) -> Sequence[tuple[int, str]]:
        return ()

    def wait(self, seconds: float) -> None: ...

    def dismiss(self) -> None: ...

    async def aclose(self) -> None: ...


def shown(result: HuntResult) -> dict[str, object]:
    return {**result.dump(), "seconds": 0}


@pytest.fixture(scope="module")
async def other(server: Server, anyio_backend: str):
    explorer = Explorer(server)
    yield explorer
    await explorer.aclose()


async def both(explorer: Explorer, other: Explorer, job: Job, look: int = 4) -> tuple[HuntResult, Figures]:
    """The result, which is that of the search alone."""
    alone = (await perform(explorer, job)).result
    crew = Elsewhere(job, other, look)
    helped = (await perform(explorer, job, crew=crew)).result
    crew.dismiss()
    assert shown(helped) == shown(alone)
    assert [each.execution for each in helped.failures] == [each.execution for each in alone.failures]
    return helped, crew.figures


SHARED = [name for name, cls in SCHEDULERS.items() if issubclass(cls, Shared)]
ALIKE = {"pct", "pos", "urw"}
"""Samples like those of `random`: tried with the long tests."""


@pytest.mark.parametrize(
    "scheduler", [pytest.param(each, marks=pytest.mark.long) if each in ALIKE else each for each in SHARED]
)
async def test_a_search_with_help_reports_what_it_reports_alone(explorer, other, scheduler):
    """Every count, trace, outcome and failure, in their order. With violations, of which the first one is minimised."""
    executions = PROLOGUE + 12 if scheduler == "portfolio" else 20
    job = Job(LOST, scheduler, executions, keep_going=True, refine=scheduler == "random")
    result, figures = await both(explorer, other, job)
    assert result.failures
    assert figures.taken + figures.before > 5
    assert figures.refused <= len(result.failures) + 1


@pytest.mark.long  # with a process of its own: tests/search/crew/test_processes.py
@pytest.mark.parametrize(("target", "scheduler", "least"), [(RIGHT, "dpor", 10), (RING, "portfolio", 20)])
async def test_a_search_ends_with_the_same_execution(explorer, other, target, scheduler, least):
    """The reduction has run every trace: also where others made a good part of it."""
    result, figures = await both(explorer, other, Job(target, scheduler))
    assert (result.exhausted, result.complete) == (True, True)
    assert figures.taken > least


@pytest.mark.long
@pytest.mark.parametrize(
    "target",
    ["scenarios.overdraft:Overdraft", "scenarios.outbox:Outbox", "scenarios.deadlock:PriceJobsInOppositeOrder"],
)
@pytest.mark.parametrize("level", [None, "REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("scheduler", ["random", "dfs", "dpor", "portfolio", "pct"])
async def test_other_scenarios_and_levels_too(explorer, other, target, level, scheduler):
    """With breakpoints and faults where the scenario has some."""
    conditions = module_conditions(level)
    await both(explorer, other, Job(target, scheduler, 80, keep_going=True, refine=False, conditions=conditions))


def module_conditions(level: str | None):
    from lab.explore import Conditions  # noqa: PLC0415 - for the long test alone

    return Conditions(level)


class Given(Crew):
    """One execution that is there from the start, from no process."""

    def __init__(self, made: Made) -> None:
        super().__init__(Nobody(), Job(LOST))
        self.made = made

    async def execution(
        self, scheduler: Shared, number: int, make: Callable[[Course], Awaitable[Made]]
    ) -> tuple[Course, Made] | None:
        return (Course.sample(number), self.made) if str(number) == self.made.key else None


async def searched(explorer: Explorer, scenario: Scenario, made: Made) -> tuple[HuntResult, Figures]:
    crew = Given(made)
    result = await Hunt(scenario, Job.of(scenario, executions=PROLOGUE + 1), crew=crew).run(explorer)
    return result, crew.figures


def elsewhere(broken: tuple[str, str] | None = None, trouble: str = "", **more) -> Made:
    result = HuntResult("of.another:Process", 0, executions=1, **more)
    result.note("trace", "outcome")
    return Made(str(PROLOGUE), result, broken, trouble=trouble)


async def test_a_violation_that_does_not_come_again_is_no_pass(plain):
    """No schedule can be repeated then, and the reason names the execution."""
    result, figures = await searched(plain, Brittle(), elsewhere(broken=("invariant", "nothing is lost")))
    assert (result.executions, result.verdict, result.failures) == (PROLOGUE + 1, "inconclusive", [])
    assert result.reason.startswith(f"execution {PROLOGUE + 1} broke 'nothing is lost' in one process and nothing in")
    assert figures.refused == 1


@pytest.mark.parametrize(
    "more",
    [{"uncontrolled": ["column a.b"]}, {"starts": Starts.DECIDED}, {"unsteady": "so"}, {"trouble": "diverged"}],
    ids=["places", "starts", "unsteady", "trouble"],
)
async def test_what_was_made_under_other_conditions_is_not_taken(plain, more):
    """What the other process knew to differ by nature, or whether beginning is a decision; or it met trouble."""
    result, figures = await searched(plain, Brittle(), elsewhere(**more))
    assert (result.executions, result.verdict) == (PROLOGUE + 1, "pass")
    assert "trace" not in result.traces
    assert figures.refused == 1
    assert "trace" in (await searched(plain, Brittle(), elsewhere()))[0].traces


def test_one_trace_with_two_outcomes_is_noticed_across_processes():
    """By executions that were made elsewhere."""
    total = HuntResult("m:C", 0)
    total.note("trace", "outcome")
    total.add(elsewhere().result)
    assert total.unsearched == []
    part = HuntResult("m:C", 0)
    part.note("trace", "another")
    total.add(HuntResult.load(part.dump()))
    assert total.unsearched == [f"reduction does not hold for this scenario: {ONE_TRACE}"]


@dataclass
class Slow(Nobody):
    """A worker that takes orders, and answers what it is let answer."""

    workers: Collection[int] = (0,)
    orders: list[str] = field(default_factory=list)
    ready: deque[Made] = field(default_factory=deque)
    dead: bool = False
    waited: int = 0

    def give(self, worker: int, courses: Sequence[Course]) -> None:
        self.orders += [each.key for each in courses]

    def answers(self) -> Sequence[tuple[int, Made]]:
        found = [(0, each) for each in self.ready]
        self.ready.clear()
        return found

    def gone(self) -> Sequence[tuple[int, str]]:
        if self.dead and self.workers:
            self.workers = ()
            return [(0, "killed")]
        return ()

    def wait(self, seconds: float) -> None:
        """Everything that was ordered is there afterwards."""
        self.waited += 1
        self.ready += [made_of(key) for key in self.orders]
        self.orders.clear()


def made_of(key: str) -> Made:
    result = HuntResult("m:C", 0, executions=1)
    result.note(f"trace {key}", "outcome")
    return Made(key, result)


class Foreseen(Shared):
    """Foresees these samples, each as long as the search has not come behind it."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    def courses(self, execution: int):
        return (Course.sample(each) for each in self.numbers if each >= execution)


async def make(course: Course) -> Made:
    return made_of(course.key)


def crew_of(hands: Slow, monkeypatch, executions: int = 50) -> Crew:
    crew = Crew(hands, Job(LOST, executions=executions))
    monkeypatch.setattr(module, "SEEN_SECONDS", 0.0)
    monkeypatch.setattr(module, "PAYS_SECONDS", 0.0)
    return crew


async def test_the_search_makes_something_else_while_a_worker_is_busy_with_the_next(monkeypatch):
    """And waits where there is nothing else: it never makes what another makes."""
    hands = Slow()
    crew, foreseen = crew_of(hands, monkeypatch), Foreseen(*range(1, 5))
    assert await crew.execution(foreseen, 1, make) is None  # the workers are started
    assert await crew.execution(foreseen, 1, make) is None  # the search makes this one itself
    assert hands.orders == ["2", "3"]
    taken = [await crew.execution(foreseen, number, make) for number in (2, 3, 4)]
    assert [each and each[1].key for each in taken] == ["2", "3", "4"]
    assert (hands.waited, crew.figures.taken, crew.figures.before) == (1, 2, 1)


async def test_the_share_of_a_worker_that_ends_is_made_again(monkeypatch, capfd):
    """By the search, which says so; nothing is missing and nothing comes twice."""
    hands = Slow()
    crew, foreseen = crew_of(hands, monkeypatch), Foreseen(*range(1, 6))
    for _ in range(2):
        assert await crew.execution(foreseen, 1, make) is None
    hands.dead = True
    assert [await crew.execution(foreseen, number, make) for number in (2, 3, 4, 5)] == [None] * 4
    assert (crew.figures.lost, crew.figures.taken, hands.waited) == (2, 0, 0)
    assert "a worker process died, and the hunt went on without it: killed" in capfd.readouterr().err


async def test_a_worker_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch):
    """The search makes the execution itself, and what comes late is not used."""
    monkeypatch.setattr(module, "LEAST_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(module, "PATIENCE", 0)
    hands = Slow()
    monkeypatch.setattr(hands, "wait", lambda seconds: None)
    crew, foreseen = crew_of(hands, monkeypatch), Foreseen(1, 2)
    for _ in range(2):
        await crew.execution(foreseen, 1, make)
    assert hands.orders == ["2"]
    assert await crew.execution(foreseen, 2, make) is None
    hands.ready.append(made_of("2"))
    assert await crew.execution(foreseen, 3, make) is None
    assert crew.figures.unused == 1


async def test_nothing_is_given_out_beyond_the_last_execution(monkeypatch):
    hands = Slow()
    crew, foreseen = crew_of(hands, monkeypatch, executions=3), Foreseen(*range(1, 50))
    for _ in range(2):
        await crew.execution(foreseen, 1, make)
    assert hands.orders == ["2"]


@pytest.mark.parametrize(
    ("more", "prepared"),
    [({"executions": 200}, 1), ({"executions": 40}, 0), ({"executions": 200, "seconds": 2.0}, 0)],
)
def test_nobody_is_prepared_for_what_is_over_at_once(more, prepared):
    """A process that imports for nothing takes a core from the server."""
    hands = Nobody()
    Crew(hands, Job(LOST, **more))
    assert hands.prepared == prepared


@pytest.mark.parametrize(
    ("number", "more", "joins"),
    [(40, {}, True), (40, {"seconds": 60.0}, True), (40, {"seconds": 2.5}, False), (190, {}, False)],
)
def test_nobody_joins_where_little_time_or_little_to_do_is_left(number, more, joins):
    """A start has to pay for itself."""
    crew = Crew(Nobody(), Job(LOST, executions=200, **more))
    assert not crew._pays(number)
    crew._began -= 1.0  # the search has gone on for so long
    assert crew._pays(number) == joins
