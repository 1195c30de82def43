"""Scenarios: a schema, a setup, two or more actors and the invariants that must hold afterwards.

A scenario is a frozen dataclass whose fields are its parameters. That is all Hypothesis needs to draw
the data beside the schedule, and all a replay token needs to build the same scenario again.

An actor, an invariant or a setup asks for what it needs by the names of its parameters, as with pytest's fixtures, and
takes no more than it uses: see `ACTOR_PARAMETERS` in `lab.scenario.validation`.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from lab.scenario.once import once_for_each_class
from lab.scenario.stated import ALWAYS, INVARIANT, Stated

if TYPE_CHECKING:
    from sqlalchemy import MetaData
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

__all__ = [
    "ISOLATION_LEVELS",
    "ActorDeclaration",
    "Allowed",
    "InvariantDeclaration",
    "PlantedBug",
    "Scenario",
    "actor",
    "actors_of",
    "invariant",
    "invariants_of",
    "kind_of",
    "parameter_names",
    "parameters_of",
    "planted_bug",
    "planted_bug_of",
    "probe",
    "target_of",
]

ISOLATION_LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")

Allowed = type[BaseException] | str | int
"""What an actor may meet without breaking the scenario: an exception class, an SQLSTATE, a status of an answer."""

_ACTOR, _PLANTED, _PROBE = "_lab_actor", "_lab_planted", "_lab_probe"


@dataclass(frozen=True)
class Scenario:
    """Base of all scenarios: a schema, a setup, two or more actors, and the invariants that must hold afterwards.

    Subclass it as a frozen dataclass, whose fields are its parameters (with defaults, so that the command line can make
    it); without fields it needs no decorator. Its class attributes:

    - `metadata`: the tables, made once; between executions only their rows are restored.
    - `databases`: name in URLs -> metadata or None, of each database of the application; by default all are one.
    - `isolation`: the isolation level of every transaction, unless an actor states its own.
    - `allows`: exceptions and SQLSTATEs that an actor may end with. 40001 (serialization failure), 40P01 (deadlock),
      55P03 (lock not available) and SQLAlchemy's `StaleDataError` always may, also wrapped in another error. Of an
      application (see `http`), also statuses from 500 on that it may answer. "leak": it may leave connections open.
    - `watch`: engines of the application itself, opened before the actors begin. In an execution they lead to the lab's
      database, and so does whatever else actors open with SQLAlchemy or asyncpg.
    - `outside`: what actors are meant to reach beside that: dialect (`sqlite`), driver (`psycopg`) or host.
    - `faults`: faults to withstand, as `lab.engine.faults` names them: `cancel`, `kill`, `crash`, `lost-answer`, …;
      `faults_at_most` strike, where the schedule chooses; if fewer than `faults_at_least` did, a `crash` comes when all
      actors are done.
    - `points`: "all" makes every `sleep(0)` a decision; else one is where somebody waits in the process for others.
    - `breakpoints`: whether a schedule may pause a statement between two rows that it locks (embedded server only).
    - `session_options`: keyword arguments for the `AsyncSession` that the lab hands to actors.
    """

    metadata: ClassVar[MetaData | None] = None
    databases: ClassVar[Mapping[str, MetaData | None]] = {}
    isolation: ClassVar[str] = "READ COMMITTED"
    allows: ClassVar[tuple[Allowed, ...]] = ()
    watch: ClassVar[tuple[AsyncEngine, ...]] = ()
    outside: ClassVar[tuple[str, ...]] = ()
    faults: ClassVar[tuple[str, ...]] = ()
    faults_at_least: ClassVar[int] = 0
    faults_at_most: ClassVar[int] = 1
    breakpoints: ClassVar[bool] = True
    points: ClassVar[str] = "visible"
    session_options: ClassVar[Mapping[str, Any]] = {}

    async def schema(self, connection: AsyncConnection) -> None:
        """Make what `metadata` cannot: migrations, raw SQL, extensions. Runs once for a database; the lab commits."""

    async def setup(self, session: AsyncSession) -> None:
        """Fill the empty tables, once for each set of parameters; the lab commits, and later restores rows alone."""


@dataclass(frozen=True, slots=True)
class ActorDeclaration:
    """An actor as its scenario declares it."""

    name: str
    attribute: str
    wants: tuple[str, ...]
    isolation: str | None = None
    allows: tuple[Allowed, ...] = ()
    survives: tuple[str, ...] = ()
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class InvariantDeclaration:
    """An invariant: the sentence that must hold, where it stands, and the checker that judges it."""

    name: str
    attribute: str
    wants: tuple[str, ...]
    location: str
    checker: str = "invariant"
    always: bool = False
    """It is checked after each COMMIT, and not only at the end."""


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A wrong variant kept to prove that the lab finds it: of which right variant, and how to replay it."""

    of: type[Scenario]
    token: str = ""
    cause: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class _ActorMark:
    names: tuple[str, ...] = ()
    isolation: str | None = None
    allows: tuple[Allowed, ...] = ()
    survives: tuple[str, ...] = ()
    attempts: int | None = None


Body = TypeVar("Body", bound=Callable[..., Awaitable[object]])
Class = TypeVar("Class", bound=type[Scenario])


@overload
def actor(body: Body) -> Body: ...
@overload
def actor(
    *,
    names: tuple[str, ...] = (),
    isolation: str | None = None,
    allows: tuple[Allowed, ...] = (),
    survives: tuple[str, ...] = (),
    attempts: int | None = None,
) -> Callable[[Body], Body]: ...
def actor(
    body: Body | None = None,
    *,
    names: tuple[str, ...] = (),
    isolation: str | None = None,
    allows: tuple[Allowed, ...] = (),
    survives: tuple[str, ...] = (),
    attempts: int | None = None,
) -> Body | Callable[[Body], Body]:
    """Declare a coroutine method as an actor; it stands for one request.

    It asks by parameter name for what it uses: `session` (an `AsyncSession` of its own), `sessions` (a factory),
    `connection`, `engine`, `client` (see `http`), `name`. What it returns is its result. What it raises is a violation,
    unless the server refused its work (40001, 40P01, 55P03, stale data) or it is allowed.

    `names` makes several actors of one body, each of which gets its name by a parameter `name`. `isolation`
    and `allows` override and extend the scenario's own.

    `survives` are SQLSTATEs after which it tries again, such as `("40001", "40P01")`: a schedule also refuses its work
    with them where the server would not, and it is a violation if it ends with one. `attempts`: within so many it ends,
    as long as the schedule is fair to it.
    """

    def mark(body: Body) -> Body:
        setattr(body, _ACTOR, _ActorMark(names, isolation, allows, survives, attempts))
        return body

    return mark if body is None else mark(body)


def invariant(body: Body) -> Body:
    """Declare a coroutine method as an invariant: it judges the final state by `assert`.

    It asks by parameter name for `session` or `connection`, to look at the final rows, and for `outcome` (an
    `Outcome`), to look at what the actors returned and raised. Its name with spaces is the sentence of the report, and
    the message of its `assert` the headline.
    """
    setattr(body, INVARIANT, getattr(body, INVARIANT, "invariant"))
    return body


def planted_bug(*, of: type[Scenario], token: str = "", cause: str = "", fix: str = "") -> Callable[[Class], Class]:
    """Declare a scenario as the wrong variant `of` a right one, kept to prove that the lab finds it.

    `token` replays its bug; `cause` and `fix` are a sentence each, for the document of invariants. `lab hunt` without a
    target passes only if a violation is found in it.
    """

    def mark(cls: Class) -> Class:
        setattr(cls, _PLANTED, PlantedBug(of, token, cause, fix))
        return cls

    return mark


def probe(cls: Class) -> Class:
    """Declare a scenario that only shows what an isolation level allows; it is neither right nor wrong."""
    setattr(cls, _PROBE, True)
    return cls


def target_of(scenario: Scenario | type[Scenario]) -> str:
    """`module:Class`, the name by which tokens and the command line know a scenario."""
    cls = scenario if isinstance(scenario, type) else type(scenario)
    return f"{cls.__module__}:{cls.__qualname__}"


def planted_bug_of(cls: type[Scenario]) -> PlantedBug | None:
    """The planted bug that a class declares itself; a subclass of a wrong variant does not inherit it."""
    bug = vars(cls).get(_PLANTED)
    assert bug is None or isinstance(bug, PlantedBug)
    return bug


def kind_of(cls: type[Scenario]) -> str:
    """`right`, `planted` or `probe`."""
    if planted_bug_of(cls):
        return "planted"
    return "probe" if _PROBE in vars(cls) else "right"


def parameters_of(scenario: Scenario, *, changed_only: bool = False) -> dict[str, Any]:
    """The parameters of a scenario by name, in order of declaration; on request only the non-defaults."""
    fields = [f for f in dataclasses.fields(scenario) if f.init]
    values = {f.name: getattr(scenario, f.name) for f in fields}
    if changed_only:
        values = {f.name: values[f.name] for f in fields if values[f.name] != _default(f)}
    return values


def _default(field: dataclasses.Field[Any]) -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


@once_for_each_class
def actors_of(cls: type[Scenario]) -> tuple[ActorDeclaration, ...]:
    """The actors in order of declaration, base classes first; an override keeps the place of the original."""
    found = []
    for attribute, mark in _marked(cls, _ACTOR).items():
        wants = parameter_names(getattr(cls, attribute))
        found += [
            ActorDeclaration(name, attribute, wants, mark.isolation, mark.allows, mark.survives, mark.attempts)
            for name in mark.names or (attribute,)
        ]
    return tuple(found)


@once_for_each_class
def invariants_of(cls: type[Scenario]) -> tuple[InvariantDeclaration, ...]:
    """The invariants in order of declaration."""
    return tuple(_stated(cls, attribute, checker) for attribute, checker in _marked(cls, INVARIANT).items())


def _stated(cls: type[Scenario], attribute: str, checker: str) -> InvariantDeclaration:
    name, stated = attribute.replace("_", " "), getattr(cls, attribute)
    if isinstance(stated, Stated):
        return InvariantDeclaration(name, attribute, (), stated.location, checker)
    kind, always = ("invariant", True) if checker == ALWAYS else (checker, False)
    return InvariantDeclaration(name, attribute, parameter_names(stated), _location(stated), kind, always)


def _marked(cls: type[Scenario], mark: str) -> dict[str, Any]:
    """Attribute -> mark; an override without a decorator inherits the mark of what it overrides."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        for attribute, value in vars(base).items():
            if hasattr(value, mark):
                found[attribute] = getattr(value, mark)
            elif attribute in found and value is None:
                del found[attribute]  # `name = None` in a subclass takes an actor or invariant out
    return found


def parameter_names(body: Callable[..., object]) -> tuple[str, ...]:
    """What a method asks for, without `self`; nothing if it is no method, which validation refuses."""
    if not callable(body):
        return ()
    return tuple(inspect.signature(body).parameters)[0 if inspect.ismethod(body) else 1 :]


def _location(body: Callable[..., object]) -> str:
    code = getattr(inspect.unwrap(body), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
