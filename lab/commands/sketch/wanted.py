"""What a user wants to have called, from what was given on the command line, or from a look through the project."""

from __future__ import annotations

import importlib.util
import inspect
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab
from lab.commands.sketch.place import root_of
from lab.commands.sketch.routes import Route, routes_of
from lab.commands.sketch.subject import (
    Function,
    application_in,
    imported,
    is_application,
    missing,
    parameters_of,
    subjects_in,
)
from lab.commands.sketch.survey import Survey, surveyed
from lab.errors import UsageError
from lab.scenario.pyproject import project_root
from lab.scenario.whereabouts import whereabouts_of

__all__ = ["Subject", "subjects_for"]

MOST = 4
"""How many functions or routes are tried where none was named."""
_NAMED = "shop.services.checkout, shop.services.checkout:place_order or shop.main:app"


@dataclass(frozen=True, slots=True)
class Subject:
    """A function, or a request to an application."""

    module: str
    attribute: str
    """The name of the function or of the application in its module."""
    what: Function | Route

    @property
    def name(self) -> str:
        """A name for a file and a class."""
        return self.what.name

    @property
    def call(self) -> Callable[..., Any] | None:
        """What is run."""
        return self.what.call if isinstance(self.what, Function) else self.what.endpoint

    @property
    def parameters(self) -> Iterable[str]:
        """The names of what it is given."""
        if isinstance(self.what, Function):
            return self.what.hints
        body = self.what.body or {}
        return [*self.what.inputs.get("path", {}), *body.get("properties", {})]


def subjects_for(given: str | None) -> tuple[list[Subject], Survey]:
    """What may be called, the best first, and what there is in the project. Raises `UsageError` if there is nothing."""
    if given is None:
        survey = surveyed(project_root())
        found = _of_project(survey)
        if not found:
            raise UsageError(_nothing(survey))
        return found[:MOST], survey
    name, _, attribute = given.partition(":")
    if name.endswith(".py"):
        name = ".".join(Path(name).with_suffix("").parts)
    if not all(each.isidentifier() for each in name.split(".")):
        raise UsageError(f"{given!r} is not the name of a module; `lab init` takes {_NAMED}")
    if not attribute and "." in name and not whereabouts_of(name).file:  # shop.services.place_order
        name, _, attribute = name.rpartition(".")
    module = imported(name)
    survey = surveyed(root_of(name))
    survey.tops |= {name.partition(".")[0]}
    found = _named(module, attribute, survey) if attribute else _all_of(module, survey)
    return found[:MOST], survey


def _of_project(survey: Survey) -> list[Subject]:
    """The application's requests first, if the lab can send any, then functions."""
    found = []
    if _can_ask():
        for place in survey.applications[:1]:
            module, _, name = place.partition(":")
            found += _requests(imported(module), name, survey)[: MOST // 2]
    for module in survey.services[:MOST]:
        found += _functions(imported(module), survey)[:1]
    return found


def _all_of(module: types.ModuleType, survey: Survey) -> list[Subject]:
    """What a module has; of a package, what its modules have."""
    name = module.__name__
    found = _requests(module, application_in(module), survey) if application_in(module) and _can_ask() else []
    found = found or _functions(module, survey)
    if not found and hasattr(module, "__path__"):
        inside = surveyed(root_of(name), name)
        found = [each for where in inside.services[:MOST] for each in _functions(imported(where), survey)[:1]]
        found = found or _of_project(inside)
    if not found:
        raise UsageError(
            f"{name} has no coroutine function that could be called: its parameters are to be a session, numbers, "
            f"texts, models or what has a default; name what to call: {_NAMED}"
        )
    return found


def _named(module: types.ModuleType, attribute: str, survey: Survey) -> list[Subject]:
    value: object = module
    for part in attribute.split("."):
        value = getattr(value, part, None)
    place = f"{module.__name__}:{attribute}"
    if value is None:
        raise UsageError(f"{module.__name__} has no {attribute!r}; `lab init` takes {_NAMED}")
    if is_application(value):
        return _insisted(module, attribute, survey)
    if not inspect.iscoroutinefunction(value):
        raise UsageError(
            f"{place} is neither a coroutine function (async def) nor an application that states its routes"
        )
    function = Function(module.__name__, attribute, value, parameters_of(value))
    if lacks := missing(function):
        raise UsageError(
            f"{place} needs {lacks}, for which no value is known; name a function whose parameters are a session, "
            "numbers, texts, models or have defaults"
        )
    return [Subject(module.__name__, attribute, function)]


def _insisted(module: types.ModuleType, attribute: str, survey: Survey) -> list[Subject]:
    """The requests of an application that was named."""
    if not _can_ask():
        raise UsageError(
            f"{module.__name__}:{attribute} is an application, and to send it requests needs httpx: "
            "pip install 'concurrency-lab[http]'"
        )
    if found := _requests(module, attribute, survey):
        return found
    raise UsageError(
        f"{module.__name__}:{attribute} states no route that writes (POST, PUT, PATCH, DELETE); name a coroutine "
        "function, as in shop.services.checkout:place_order"
    )


def _can_ask() -> bool:
    return "http" in lab.__all__ and importlib.util.find_spec("httpx") is not None


def _requests(module: types.ModuleType, attribute: str, survey: Survey) -> list[Subject]:
    routes = routes_of(getattr(module, attribute), survey.tops)
    return [Subject(module.__name__, attribute, each) for each in routes]


def _functions(module: types.ModuleType, survey: Survey) -> list[Subject]:
    tops = survey.tops | {module.__name__.partition(".")[0]}
    return [Subject(module.__name__, each.name, each) for each in subjects_in(module, tops)]


def _nothing(survey: Survey) -> str:
    return (
        f"looked through {survey.files} modules in {project_root()}: {len(survey.tables)} with tables, "
        f"{len(survey.applications)} with an ASGI application, and none with a coroutine function that takes a session "
        f"and otherwise numbers, texts, models or defaults; name what to call: {_NAMED}"
    )
