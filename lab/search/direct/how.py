"""The keywords of `lab.race`, as type checkers know them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict, cast

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

from lab.errors import ScenarioError
from lab.scenario.declare import Allowed

__all__ = ["How", "parted"]


class How(TypedDict, total=False):
    """All may be left out."""

    setup: Callable[..., Awaitable[object]]
    """Fills the tables: asks for `session` or `connection`, or uses the application's own."""
    holds: Callable[..., object] | Iterable[Callable[..., object]]
    """What must hold afterwards, one or several: asks for `session`, `connection`, `outcome`; asserts it, or returns
    False where it does not hold. Without it, some serial order must give the same results and rows."""
    metadata: MetaData | None
    """The tables. By default those of the models that the modules of the functions have in sight."""
    watch: AsyncEngine | Sequence[AsyncEngine]
    """The application's engines."""
    executions: int
    """How many at most: 200."""
    scheduler: str
    seed: int
    replay: str
    """A token of this race: its execution, and no search."""
    isolation: str
    allows: Sequence[Allowed]
    databases: Mapping[str, MetaData | None]
    schema: Callable[..., Awaitable[object]]
    app: Any
    outside: Sequence[str]
    faults: Sequence[str]
    faults_at_least: int
    faults_at_most: int
    points: str
    breakpoints: bool
    session_options: Mapping[str, Any]
    """From `isolation` on: as the class attributes of `Scenario`."""


_OF_THE_SEARCH = ("executions", "scheduler", "seed", "replay")
_TUPLES = ("allows", "outside", "faults")


def parted(how: How) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is of the scenario, and what is of the search. Raises `ScenarioError` for a keyword that is neither."""
    given = {name: value for name, value in cast("dict[str, Any]", how).items() if value is not None}
    if unknown := sorted(set(given) - set(How.__annotations__)):
        raise ScenarioError(f"lab.race knows no {unknown[0]!r}; its keywords are {', '.join(How.__annotations__)}")
    watch = given.get("watch")
    if isinstance(watch, AsyncEngine):
        given["watch"] = (watch,)
    given |= {name: tuple(given[name]) for name in _TUPLES if name in given}
    search = {name: given.pop(name) for name in _OF_THE_SEARCH if name in given}
    return given, search
