"""The faults, one file each, and the one table of them.

To add one, write its file with a `FAULT` and add the file's name to `_FILES`. What can be asked for, what
is offered, how it reads in reports comes from the table. It stands here, where a fault knows how to strike, and not
below: a token says a fault by its grammar (`lab.model.decision_text`), a trace holds its words, and the faults of
scenarios, hunts and tokens are checked where an execution is put together (`refuse_wrong_faults`), since neither
`scenario/` nor `model/` may know the engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from lab.engine.faults.fault import Fault
from lab.engine.faults.refusal import Refusal
from lab.errors import ScenarioError, TokenError, UsageError
from lab.model.outcome import ABORT_STATES
from lab.scenario.declare import ActorDeclaration, Scenario, actors_of, target_of

__all__ = ["FAULTS", "REFUSALS", "Fault", "asked_for", "refuse_wrong_faults", "survived", "with_brought"]

_FILES = (
    "cancel",
    "kill",
    "crash",
    "time",
    "lost_answer",
    "lost_request",
    "disconnect",
    "idle_timeout",
    "lock_timeout",
    "slow",
    "serialization_failure",
    "deadlock",
    "statement_timeout",
    "disk_full",
    "full_pool",
    "cancel_scope",
    "too_many_connections",
)

FAULTS: dict[str, Fault] = {
    fault.name: fault for fault in (import_module(f"{__name__}.{file}").FAULT for file in _FILES)
}
"""Name -> fault."""
REFUSALS: dict[str, Refusal] = {fault.sqlstate: fault for fault in FAULTS.values() if isinstance(fault, Refusal)}
"""SQLSTATE -> the fault by which the server refuses with it."""


def refuse_wrong_faults(cls: type[Scenario], added: Iterable[str] = (), repeated: Iterable[str] = ()) -> None:
    """Raise a `LabError` if a fault is asked for that does not exist.

    `ScenarioError` where a scenario asks for it, or for one that cannot come last; `UsageError` for one of `added`,
    and `TokenError` for one of `repeated`, the faults of a schedule that is to be repeated.
    """
    asked_for(added)
    for name in repeated:
        if name not in FAULTS:
            raise TokenError(f"the schedule has a fault {name!r} that this lab does not know, only {', '.join(FAULTS)}")
    for name in cls.faults:
        if name not in FAULTS:
            raise ScenarioError(f"{target_of(cls)} names a fault {name!r}; known are {', '.join(FAULTS)}")
        if FAULTS[name].unasked:
            raise ScenarioError(f"{target_of(cls)} names the fault {name!r}, which comes unasked; leave it out")
    for each in actors_of(cls):
        for state in each.survives:
            if state not in REFUSALS and state not in ABORT_STATES:
                known = ", ".join(sorted({*REFUSALS, *ABORT_STATES}))
                raise ScenarioError(f"{target_of(cls)}.{each.attribute} survives {state!r}; known are {known}")
    last = [name for name, fault in FAULTS.items() if fault.may_come_last]
    if cls.faults_at_least > (0 if set(last).isdisjoint(cls.faults) else cls.faults_at_most):
        raise ScenarioError(
            f"{target_of(cls)} has faults_at_least={cls.faults_at_least}: only a {' or '.join(last)} can strike when "
            f"all actors are done, so it needs {' or '.join(map(repr, last))} among its faults, "
            "and faults_at_most no smaller"
        )


def survived(actor: ActorDeclaration) -> tuple[str, ...]:
    """The names of the faults that an actor says it survives, so that they strike it unasked."""
    return tuple(REFUSALS[state].name for state in actor.survives if state in REFUSALS)


def with_brought(names: Iterable[str]) -> tuple[str, ...]:
    """Faults with those that they bring along, each once."""
    known = ((name, FAULTS.get(name)) for name in names)
    return tuple(dict.fromkeys(each for name, fault in known for each in (name, *(fault.brings if fault else ()))))


def asked_for(names: Iterable[str]) -> tuple[str, ...]:
    """The faults that a hunt asks for beside those of a scenario. Raises `UsageError` for what is none."""
    asked = tuple(dict.fromkeys(names))
    for name in asked:
        if name not in FAULTS or FAULTS[name].unasked:
            known = ", ".join(each for each, fault in FAULTS.items() if not fault.unasked)
            raise UsageError(f"there is no fault {name!r} to ask for; known are {known}")
    return asked
