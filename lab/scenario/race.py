"""A scenario made of plain coroutine functions, for `lab.race(f, g)`: the class that nobody had to write.

The functions are actors, setup and invariants as methods of a scenario are: they ask for what they need by the names of
their parameters. A function that is given twice makes two actors.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.errors import ScenarioError
from lab.scenario.declare import Scenario, actor, invariant
from lab.scenario.sight import metadata_in_sight
from lab.scenario.stated import ALWAYS, INVARIANT, always
from lab.scenario.validation import ACTOR_PARAMETERS, INVARIANT_PARAMETERS, SETUP_PARAMETERS

__all__ = ["Place", "caller", "is_race", "race_of"]

Body = Callable[..., object]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LAMBDA = "<lambda>"
_RACE = "_lab_race"


def race_of(
    place: tuple[str, str],
    actors: Sequence[Body],
    *,
    setup: Body | None = None,
    holds: Body | Iterable[Body] = (),
    **attributes: Any,
) -> Scenario:
    """The scenario of these functions. `place` is the module and the function that race them, by which tokens name it.

    `attributes` are class attributes of a scenario. Raises `ScenarioError` for what cannot be one.
    """
    module, function = place
    stated = (holds,) if callable(holds) else tuple(holds)
    for each in (*actors, *stated, *(() if setup is None else (setup,))):
        _insist_on_a_function(each)
    names = _names(actors)
    body: dict[str, Any] = dict(attributes)
    if not body.get("metadata") and not body.get("databases") and not body.get("schema"):
        body["metadata"] = metadata_in_sight([*actors, *stated, *([] if setup is None else [setup])])
    if setup is not None:
        body["setup"] = _method(setup, SETUP_PARAMETERS)
    for number, (name, each) in enumerate(zip(names, actors, strict=True)):
        body[f"actor_{number}"] = actor(names=(name,))(_method(each, ACTOR_PARAMETERS, name=name))
    for name, each in zip(_sentences(stated), stated, strict=True):
        mark = always if _is_always(each) else invariant
        body[name] = mark(_method(each, INVARIANT_PARAMETERS, judges=name))
    body |= {
        _RACE: True,
        "__module__": module,
        "__qualname__": f"{function}.{'-'.join(names)}",
        "__doc__": f"A race in {function}.",
    }
    cls: type[Scenario] = dataclass(frozen=True)(type("Race", (Scenario,), body))
    return cls()


def _insist_on_a_function(each: object) -> None:
    if inspect.iscoroutine(each):
        name = each.__qualname__
        each.close()
        raise ScenarioError(
            f"lab.race was given {name}(…), a call that has begun; give it the function: {name}, or "
            f"functools.partial({name}, …), so that it can be called once for each execution"
        )
    if not callable(each):
        raise ScenarioError(f"lab.race was given {type(each).__name__} {each!r}; it takes coroutine functions")


def _name(body: Body) -> str:
    while isinstance(body, functools.partial):
        body = body.func
    name = getattr(body, "__name__", type(body).__name__)
    return name if name.isidentifier() else _LAMBDA


def _is_always(body: Body) -> bool:
    while isinstance(body, functools.partial):
        body = body.func
    return getattr(body, INVARIANT, "") == ALWAYS


def _names(actors: Sequence[Body]) -> list[str]:
    """A name for each: that of the function, numbered where it is there twice; a letter for what has none."""
    letters = iter(_LETTERS)
    plain = [_name(each) for each in actors]
    plain = [next(letters, f"actor{number}") if name == _LAMBDA else name for number, name in enumerate(plain)]
    many, seen, names = Counter(plain), Counter[str](), []
    for name in plain:
        seen[name] += 1
        names.append(f"{name}{seen[name]}" if many[name] > 1 else name)
    return names


def _sentences(stated: Sequence[Body]) -> list[str]:
    """The attribute of each invariant, whose words are its sentence."""
    names: list[str] = []
    for each in stated:
        name = _name(each).strip("_")
        name = "what_is_said_holds" if name == _LAMBDA else name
        while hasattr(Scenario, name) or name in names or name.startswith("actor_"):
            name = f"it_holds_that_{name}"
        names.append(name)
    return names


def _method(body: Body, known: Sequence[str], *, name: str = "", judges: str = "") -> Callable[..., Any]:
    """A function as a method that asks for what the function asks for."""
    wanted = _wanted(body, known)

    async def method(self: Scenario, **given: object) -> object:
        arguments = [given.pop(each) for each, positional in wanted.items() if positional]
        result = body(*arguments, **given)
        if inspect.isawaitable(result):
            result = await result
        elif name:
            raise ScenarioError(f"{name} returned {type(result).__name__} at once; an actor is a coroutine function")
        if judges and result is False:
            raise AssertionError(f"{judges} returned False")
        return result

    parameters = [inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in ("self", *wanted)]
    method.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    if getattr(body, "__code__", None) is not None:
        method.__wrapped__ = body  # type: ignore[attr-defined]
    return method


def _wanted(body: Body, known: Sequence[str]) -> Mapping[str, bool]:
    """Parameter -> whether it is given by position. One with a default that the lab cannot give stays as it is."""
    asked = {}
    for name, each in inspect.signature(body).parameters.items():
        if each.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            continue
        if name in known or each.default is inspect.Parameter.empty:
            asked[name] = each.kind is inspect.Parameter.POSITIONAL_ONLY
    return asked


@dataclass(frozen=True, slots=True)
class Place:
    """Where `lab.race` was called."""

    names: tuple[str, str]
    """The module and the function, as a target has them."""
    site: tuple[int, int]
    """Which call in which function; the same each time it is made."""


def caller(depth: int) -> Place:
    """The place of the call so many frames above."""
    frame = sys._getframe(depth)  # noqa: SLF001 - the one way to know who races
    code = frame.f_code
    return Place((frame.f_globals.get("__name__", "__main__"), code.co_qualname), (id(code), frame.f_lasti))


def is_race(cls: type[Scenario]) -> bool:
    """Whether a scenario was made of functions."""
    return _RACE in vars(cls)
