"""What is to be called: the function or the application that was named, or the best that there is in a module."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_sessionmaker

from lab.commands.sketch.mentioned import mentioned, table_of
from lab.commands.sketch.names import Names
from lab.commands.sketch.values import value_of
from lab.errors import Interrupted, UsageError
from lab.scenario.registry import does_not_import

__all__ = [
    "Function",
    "application_in",
    "given",
    "imported",
    "is_application",
    "missing",
    "parameters_of",
    "subjects_in",
]

_GIVEN = {AsyncSession: "session", async_sessionmaker: "sessions", AsyncConnection: "connection", AsyncEngine: "engine"}
"""Type of a parameter -> what an actor asks for."""
_BY_NAME = {"session": "session", "db": "session", "db_session": "session", "async_session": "session"}

_TAKEN = (
    "`lab init` takes one that can be imported from here, as in shop.services.checkout, "
    "shop.services.checkout:place_order or shop.main:app"
)


@dataclass(frozen=True, slots=True)
class Function:
    """A coroutine function of the project's, with what its parameters are."""

    module: str
    name: str
    call: Callable[..., Any]
    hints: dict[str, object]
    """Those of the parameters that a call must have."""

    @property
    def described(self) -> str:
        """As the command line names it."""
        return f"{self.module}:{self.name}"


def imported(name: str, taken: str = _TAKEN) -> types.ModuleType:
    """A module of the user's. Raises `UsageError`, one sentence, whatever it raises; `taken` says what is expected."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UsageError(f"no module named {name!r}; {taken}") from None
        raise does_not_import(name, error) from error
    except Interrupted:
        raise
    except BaseException as error:
        raise does_not_import(name, error) from error


def is_application(value: object) -> bool:
    """Whether a value is an ASGI application of a framework."""
    kinds = {each.__name__ for each in type(value).__mro__}
    return bool(kinds & {"FastAPI", "Starlette", "Litestar", "Quart"})


def parameters_of(call: Callable[..., Any]) -> dict[str, object]:
    """Parameter -> its type, for each that a call must have, and for each session, which has a default at times."""
    try:
        hints = typing.get_type_hints(call, include_extras=True)
    except Exception:  # noqa: BLE001 - whatever its annotations do, what is known without them is used
        hints = {}
    found = {}
    for name, parameter in inspect.signature(call).parameters.items():
        hint = hints.get(name, parameter.annotation)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is parameter.empty or given(name, hint):
            found[name] = hint
    return found


def given(name: str, hint: object) -> str:
    """What an actor asks for to have a value of this type, or "" if the lab has none."""
    base = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    base = typing.get_origin(base) or base
    if isinstance(base, type):
        for kind, asked in _GIVEN.items():
            if issubclass(base, kind) or (kind is AsyncSession and base.__name__ == "async_scoped_session"):
                return asked
    return _BY_NAME.get(name, "") if hint in (inspect.Parameter.empty, Any) else ""


def subjects_in(module: types.ModuleType, tops: frozenset[str]) -> list[Function]:
    """The functions of a module that can be called in a scenario, those first that write most."""
    found = []
    for name, value in vars(module).items():
        if name.startswith("_") or not inspect.iscoroutinefunction(value) or value.__module__ != module.__name__:
            continue
        function = Function(module.__name__, name, value, parameters_of(value))
        if not missing(function):
            said = mentioned([value], tops)
            found.append((said.writes + 2 * bool(said.read), function))
    return [function for _, function in sorted(found, key=lambda each: -each[0])]


def application_in(module: types.ModuleType) -> str:
    """The name of the ASGI application that a module has, or ""."""
    return next((name for name, value in vars(module).items() if is_application(value)), "")


def missing(function: Function) -> str:
    """The first parameter for which there is no value, with its type; "" if there is none."""
    for name, hint in function.hints.items():
        if given(name, hint) or table_of(hint) is not None:
            continue
        if hint is inspect.Parameter.empty or value_of(hint, name, Names()) is not None:
            continue
        return f"{name}: {getattr(hint, '__name__', hint)}"
    return ""
