"""What schedulers say of themselves holds, and whatever wraps one says the same."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from test_schedulers import PROGRAMS, Program

import lab.schedulers
from lab.errors import SearchOver, UsageError
from lab.model.choices import Alternative, Choices
from lab.model.schedule import Schedule
from lab.model.trace import Action, ActionKind, Trace
from lab.schedulers import SCHEDULERS, Scheduler, make_scheduler
from lab.schedulers.drawn import DrawnSchedule
from lab.schedulers.guided import Guided, Onward, Wished
from lab.schedulers.in_turn import InTurn
from lab.schedulers.replay import Replay
from lab.schedulers.serial import InOrder
from lab.schedulers.way import Noting
from lab.schedulers.wrapper import Wrapper

PROPERTIES = [name for name, each in vars(Scheduler).items() if isinstance(each, property)]
GIVEN = {
    Guided: lambda trace: Guided([step.index for step in trace]),
    Wished: lambda trace: Wished([step.chosen for step in trace]),
    Onward: lambda trace: Onward([step.chosen for step in trace]),
    Replay: lambda trace: Replay(Schedule.of(trace)),
    InOrder: lambda trace: InOrder(trace.actors),
    InTurn: lambda trace: InTurn(),
}
"""Those that nobody can ask for by name, most since they need to be given something: how to make each from a trace."""
WRAPPERS = {Wrapper, DrawnSchedule, Noting}


def families(cls: type[Scheduler]) -> Iterator[type[Scheduler]]:
    for each in cls.__subclasses__():
        yield each
        yield from families(each)


def said(scheduler: Scheduler) -> dict[str, object]:
    return {name: getattr(scheduler, name) for name in PROPERTIES}


@pytest.fixture(params=sorted(SCHEDULERS))
def name(request) -> str:
    return request.param


@pytest.fixture(params=sorted(PROGRAMS))
def program(request) -> Program:
    return PROGRAMS[request.param]


def test_every_scheduler_of_the_lab_is_held_to_the_contract():
    """It is in the table, or given something, or a wrapper; there is no fourth kind that no suite runs over."""
    for module in pkgutil.iter_modules(lab.schedulers.__path__):
        importlib.import_module(f"lab.schedulers.{module.name}")
    found = {each for each in families(Scheduler) if each.__module__.startswith("lab.")}
    assert found == {*SCHEDULERS.values(), *GIVEN, *WRAPPERS}


def test_a_scheduler_says_what_it_is(name):
    cls = SCHEDULERS[name]
    assert cls.name == name
    assert cls.summary
    assert not set(cls.summary) & set("\n;."), "it stands in a list of the command line's help"
    assert cls.prologue == 0 if cls.independent else cls.prologue is None or cls.prologue > 0


def test_an_option_is_a_keyword_of_the_constructor_with_the_default_that_it_states(name):
    own = inspect.signature(SCHEDULERS[name]).parameters
    for option in SCHEDULERS[name].options:
        assert own[option.name].kind is inspect.Parameter.KEYWORD_ONLY
        assert own[option.name].default == option.default
        assert make_scheduler(name, 0, **{option.name: option.least}).begin(0)
        with pytest.raises(UsageError, match=f"'{option.name}' of the scheduler '{name}' is at least {option.least}"):
            make_scheduler(name, 0, **{option.name: option.least - 1})


def test_a_scheduler_is_made_from_a_seed_alone(name):
    assert isinstance(make_scheduler(name, 5), SCHEDULERS[name])


def test_a_wrapper_passes_on_all_that_a_scheduler_is_asked():
    """Also what will be added to the interface: a property that a wrapper lacks would answer with the default."""
    assert PROPERTIES
    assert {*PROPERTIES, "begin", "choose", "end"} <= vars(Wrapper).keys()


def test_nobody_can_tell_a_wrapped_scheduler_from_a_bare_one(name, program):
    bare, wrapped = make_scheduler(name, 4), Wrapper(Wrapper(make_scheduler(name, 4)))
    assert said(wrapped) == said(bare)
    for number in range(45):
        ran = []
        for scheduler in (bare, wrapped):
            try:
                ran.append(program.run(scheduler, number))
            except SearchOver:
                ran.append(None)
        assert ran[0] == ran[1]
        assert said(wrapped) == said(bare)
        if ran[0] is None:
            return


@pytest.mark.parametrize("cls", GIVEN, ids=lambda cls: cls.__name__)
def test_what_is_given_something_keeps_the_contract_too(cls, program):
    """Sound, repeatable, never over, no sample; an execution that was broken off does not spoil the next."""
    for trace in program.search(make_scheduler("random", 6), 8):
        scheduler = GIVEN[cls](trace)
        first = program.run(scheduler)
        assert not scheduler.sampled
        assert scheduler.calibrated
        assert scheduler.begin(1)
        if trace.steps:
            own = tuple(Alternative(each, Action(ActionKind.POINT)) for each in trace.steps[0].alternatives)
            scheduler.choose(Choices(0, own))
        assert program.run(scheduler, 2) == first
        assert cls in (InOrder, InTurn, Onward) or first == trace


def test_to_ask_what_schedulers_there_are_loads_nothing_heavy():
    """The help of the command line lists them."""
    heavy = ("asyncio", "asyncpg", "sqlalchemy", "hypothesis", "networkx", "click")
    script = f"import lab.schedulers, sys; print(*[name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "\n"


class Noted(Wrapper):
    """Notes what it was asked; says that the search is over at execution `over`."""

    def __init__(self, inner: Scheduler, *, over: int = 1000) -> None:
        super().__init__(inner)
        self.over = over
        self.calls: list[str] = []

    def begin(self, execution: int) -> bool:
        self.calls.append(f"begin {execution}")
        return execution < self.over and super().begin(execution)

    def choose(self, choices: Choices) -> int:
        if self.calls[-1] != "choose":
            self.calls.append("choose")
        return super().choose(choices)

    def end(self, trace: Trace) -> None:
        self.calls.append("end")
        super().end(trace)
