"""Says in one sentence why a scenario cannot be run as it is written."""

from __future__ import annotations

import dataclasses
import inspect
from collections import Counter

from sqlalchemy.ext.asyncio import AsyncEngine

from lab.errors import ScenarioError
from lab.scenario.checks import refuse_too_many_orders
from lab.scenario.databases import refuse_wrong_databases, take_databases_of_project
from lab.scenario.declare import (
    ISOLATION_LEVELS,
    ActorDeclaration,
    Scenario,
    actors_of,
    invariants_of,
    parameter_names,
    target_of,
)
from lab.scenario.http import application_of
from lab.scenario.once import once_for_each_class

__all__ = ["validate"]

FEWEST_ACTORS = 2
FEWEST_ATTEMPTS = 2
POINTS = ("visible", "all")
ACTOR_PARAMETERS = ("session", "sessions", "connection", "engine", "client", "name")
INVARIANT_PARAMETERS = ("session", "connection", "client", "outcome")
ALWAYS_PARAMETERS = ("session", "connection")
SETUP_PARAMETERS = ("session", "connection", "client")
SCHEMA_PARAMETERS = ("connection",)


@once_for_each_class
def validate(cls: type[Scenario]) -> None:
    """Raise `ScenarioError` with one sentence if a scenario cannot be run as it is written."""
    actors = actors_of(cls)
    if len(actors) < FEWEST_ACTORS:
        has = "no actor" if not actors else f"one actor ({actors[0].name})"
        raise ScenarioError(
            f"{target_of(cls)} has {has}: a schedule needs two or more; decorate coroutine methods with @actor"
        )
    _validate_names(cls, [each.name for each in actors])
    for each in actors:
        _validate_survival(cls, each)
    for level in (cls.isolation, *(a.isolation for a in actors if a.isolation)):
        if level not in ISOLATION_LEVELS:
            raise ScenarioError(
                f"{target_of(cls)} asks for isolation {level!r}; known are {', '.join(ISOLATION_LEVELS)}"
            )
    if cls.points not in POINTS:
        raise ScenarioError(
            f"{target_of(cls)} asks for points {cls.points!r}; known are {', '.join(map(repr, POINTS))}"
        )
    for attribute, allowed in (
        *((a.attribute, ACTOR_PARAMETERS) for a in actors),
        *((i.attribute, INVARIANT_PARAMETERS) for i in invariants_of(cls) if i.checker == "invariant"),
        ("schema", SCHEMA_PARAMETERS),
        ("setup", SETUP_PARAMETERS),
    ):
        _validate_method(cls, attribute, allowed)
    _validate_always(cls)
    _validate_outside(cls)
    take_databases_of_project(cls)
    refuse_wrong_databases(cls)
    refuse_too_many_orders(cls)
    annotated = {
        name: base
        for base in cls.__mro__
        if issubclass(base, Scenario) and base is not Scenario
        for name, hint in vars(base).get("__annotations__", {}).items()
        if "ClassVar" not in str(hint)
    }
    if missing := annotated.keys() - {f.name for f in dataclasses.fields(cls)}:
        raise ScenarioError(
            f"{target_of(annotated[min(missing)])} declares {', '.join(sorted(missing))} but is not a dataclass: "
            "add @dataclass(frozen=True) above the class"
        )


def _validate_survival(cls: type[Scenario], actor: ActorDeclaration) -> None:
    place, survives = f"{target_of(cls)}.{actor.attribute}", actor.survives
    if not isinstance(survives, (tuple, list)) or not all(isinstance(each, str) for each in survives):
        raise ScenarioError(f"{place} survives {survives!r}; it is a tuple of SQLSTATEs, as in ('40001', '40P01')")
    if actor.attempts is None:
        return
    if not survives:
        raise ScenarioError(f"{place} states its attempts; say after which SQLSTATEs it tries again, by survives")
    if not isinstance(actor.attempts, int) or actor.attempts < FEWEST_ATTEMPTS:
        raise ScenarioError(f"{place} states {actor.attempts!r} attempts; who tries again needs two or more")


def _validate_names(cls: type[Scenario], names: list[str]) -> None:
    """A name stands for one actor in schedules, tokens and reports."""
    if twice := [name for name, number in Counter(names).items() if number > 1]:
        raise ScenarioError(
            f"{target_of(cls)} has two actors named {twice[0]!r}; give each a name of its own in @actor(names=…)"
        )


def _validate_method(cls: type[Scenario], attribute: str, allowed: tuple[str, ...]) -> None:
    method = getattr(cls, attribute)
    if not inspect.iscoroutinefunction(method):
        raise ScenarioError(f"{target_of(cls)}.{attribute} must be `async def`")
    for name in parameter_names(method):
        if name not in allowed:
            raise ScenarioError(f"{target_of(cls)}.{attribute} asks for {name!r}; it can ask for {', '.join(allowed)}")
        if name == "client" and application_of(cls) is None:
            raise ScenarioError(
                f"{target_of(cls)}.{attribute} asks for 'client', and the scenario names no application; add "
                "app = lab.http(main.app)"
            )


def _validate_always(cls: type[Scenario]) -> None:
    """What is there only when all actors have ended cannot be given in between."""
    for each in invariants_of(cls):
        for name in each.wants if each.always else ():
            if name not in ALWAYS_PARAMETERS:
                raise ScenarioError(
                    f"{target_of(cls)}.{each.attribute} asks for {name!r}, which is there only at the end, and is "
                    f"@always, so it is checked after each COMMIT; it can ask for {', '.join(ALWAYS_PARAMETERS)}"
                )


def _validate_outside(cls: type[Scenario]) -> None:
    """What a scenario says of things that are not the lab's."""
    watch: object = cls.watch
    if not isinstance(watch, (tuple, list)):
        raise ScenarioError(
            f"{target_of(cls)} has watch = {_kind(watch)}; it is a tuple of engines, as in watch = (engine,)"
        )
    for each in watch:
        if not isinstance(each, AsyncEngine):
            raise ScenarioError(
                f"{target_of(cls)} watches {_kind(each)}, which is no engine: name what create_async_engine made, "
                "as in watch = (engine,)"
            )
    outside: object = cls.outside
    if not isinstance(outside, (tuple, list)) or not all(isinstance(each, str) for each in outside):
        raise ScenarioError(f'{target_of(cls)} has outside = {outside!r}; it is a tuple of names, as in ("sqlite",)')


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0] in "AEIOUaeiou" else f"a {name}"
