"""What `lab races` is given by name: an application, a function that makes one, or one that fills its tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import MetaData

from lab.commands.sketch.place import root_of
from lab.commands.sketch.rows import Tables
from lab.commands.sketch.subject import imported, is_application
from lab.commands.sketch.survey import surveyed
from lab.errors import Interrupted, UsageError, first_line
from lab.search.races.loaded import all_metadata

__all__ = ["application_named", "function_named", "metadata_near"]

_TARGET = re.compile(r"[\w.]+:[A-Za-z_][\w.]*")
_ASGI = 3
"""Parameters of an ASGI application: scope, receive, send."""


def application_named(place: str) -> tuple[Any, tuple[str, str]]:
    """The application that `module:attribute` names, or that a function of this name makes; and where it is.

    The latter are its module and an expression there. Raises `UsageError`.
    """
    takes = "APP is module:attribute, as in shop.main:app or shop.main:create_app"
    value, module, attribute = _named(place, takes)
    if _is_asgi(value):
        return value, (module, attribute)
    if not callable(value) or _wanted(value):
        raise UsageError(f"{place} is neither an ASGI application nor a function without parameters that makes one")
    try:
        made = value()
    except Interrupted:
        raise
    except BaseException as error:
        raise UsageError(f"{place} makes no application: {first_line(error)}") from error
    if not _is_asgi(made):
        if inspect.iscoroutine(made):
            made.close()
        raise UsageError(f"{place} makes no ASGI application, but a {type(made).__name__}")
    return made, (module, f"{attribute}()")


def function_named(place: str) -> Callable[[], Any]:
    """The function that `--before` names. Raises `UsageError`."""
    value, *_ = _named(place, "--before takes module:function, as in shop.seed:main")
    if not callable(value):
        raise UsageError(f"--before {place} is no function, but a {type(value).__name__}")
    if wanted := _wanted(value):
        raise UsageError(
            f"--before {place} wants {', '.join(wanted)}; name a function without parameters, which connects by itself "
            "as the application does"
        )
    function: Callable[[], Any] = value
    return function


def metadata_near(place: str) -> list[MetaData]:
    """The metadata of the modules that an application has loaded, or else could load. Raises `UsageError` for none."""
    name = place.partition(":")[0]
    tables = Tables({name.partition(".")[0]})
    if not all_metadata() or not tables.are_whole():
        for each in surveyed(root_of(name)).tables:
            imported(each)
    if found := all_metadata():
        return found
    raise UsageError(
        "no module of the application defines tables for SQLAlchemy, so none are there for its requests: "
        "--before MODULE:FUNCTION makes and fills them, --rows-from URL copies those of a database"
    )


def _named(place: str, takes: str) -> tuple[Any, str, str]:
    if not _TARGET.fullmatch(place):
        raise UsageError(f"{place!r} names nothing; {takes}")
    module, _, attribute = place.partition(":")
    value: Any = imported(module, takes)
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise UsageError(f"{module} has no {attribute!r}; {takes}")
        value = getattr(value, part)
    return value, module, attribute


def _is_asgi(value: Any) -> bool:
    if is_application(value):
        return True
    return callable(value) and not inspect.isclass(value) and len(_wanted(value)) == _ASGI


def _wanted(function: Any) -> list[str]:
    """The parameters that a call must have."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    kinds = (*positional, inspect.Parameter.KEYWORD_ONLY)
    return [each.name for each in parameters if each.default is each.empty and each.kind in kinds]
