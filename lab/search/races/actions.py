"""`lab.actions(service)`: the calls of tests that send no HTTP but call coroutine functions, for `pytest --lab-races`.

Only that run puts something between a test and its service: an object that behaves as the service does, but that its
coroutine functions are called through `Actions.called`, which the recorder replaces while it records. It is made when
the tests are loaded, so fixtures of any scope, and modules, may hold one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar, cast

from lab.errors import ScenarioError

__all__ = ["Action", "Actions", "Made", "actions", "unwrapped"]

Service = TypeVar("Service")
_NOT_FORWARDED = {
    *("__class__", "__new__", "__init__", "__getattribute__", "__getattr__", "__setattr__", "__delattr__", "__dict__"),
    *("__init_subclass__", "__subclasshook__", "__class_getitem__", "__del__", "__slots__", "__weakref__", "__doc__"),
    *("__module__", "__call__", "__set_name__", "__prepare__"),
}
_PLAIN = (type(None), bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)


@dataclass(frozen=True, slots=True)
class Made:
    """How a test made an instance."""

    cls: type
    arguments: tuple[Any, ...]
    named: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """A coroutine function of a service."""

    owner: Any
    """The service; None for a function that is one by itself."""
    name: str
    function: Callable[..., Awaitable[Any]]
    """As the owner hands it out."""
    made: Made | None = None

    @property
    def title(self) -> str:
        """`redeem`, or `Coupons.redeem`."""
        if self.owner is None or isinstance(self.owner, ModuleType):
            return self.name
        cls = self.owner if isinstance(self.owner, type) else type(self.owner)
        return f"{cls.__name__}.{self.name}"

    @property
    def receiver(self) -> Any:
        """The instance whose method it is; None where it is of a module, a class, or nobody."""
        owner = self.owner
        return None if owner is None or isinstance(owner, ModuleType | type) else owner


class Actions:
    """What a recorded run does with actions. `wanted` and `called` are replaced for its time."""

    wanted = False

    @staticmethod
    async def called(action: Action, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """Call it."""
        return await action.function(*arguments, **named)


def actions(service: Service) -> Service:
    """A service whose coroutine functions `pytest --lab-races` records and races, as it does with requests.

        service = lab.actions(shop.coupons)

        async def test_a_coupon_is_used_once(session):
            await service.redeem(session, code="SAVE10", customer_id=1)

    `service` is a module, an instance, a class (then what it makes counts) or one coroutine function. What comes back
    behaves like it; in every run but that one it is the service itself. What an action calls within is part of it, and
    no action by itself.

    Raises `ScenarioError` for what has no coroutine functions.
    """
    if inspect.iscoroutine(service):
        service.close()
        raise ScenarioError(f"lab.actions got {service.__qualname__}(…), a call that has begun; give it the function")
    if isinstance(service, _PLAIN) or (inspect.isroutine(service) and not is_action(service)):
        raise ScenarioError(
            f"lab.actions got {service!r}; it takes a module, an instance, a class or a coroutine function"
        )
    if not Actions.wanted or (isinstance(service, type) and issubclass(service, BaseException)):
        return service
    if is_action(service):
        function = cast("Callable[..., Awaitable[Any]]", service)
        return cast(
            "Service", _recorded(Action(None, getattr(inspect.unwrap(function), "__name__", "action"), function))
        )
    return cast("Service", _standing_for(unwrapped(service)))


def is_action(value: object) -> bool:
    """Whether it is a coroutine function, perhaps with a plain function around it."""
    if not callable(value) or isinstance(value, type):
        return False
    return inspect.iscoroutinefunction(value) or (
        inspect.isroutine(value) and inspect.iscoroutinefunction(inspect.unwrap(value))
    )


def unwrapped(value: Any) -> Any:
    """A service, where something stands for it; any other value as it is."""
    return object.__getattribute__(value, "_lab_value") if issubclass(type(value), _Standing) else value


def _recorded(action: Action) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(action.function)
    async def call(*arguments: Any, **named: Any) -> Any:
        return await Actions.called(action, arguments, named)

    return call


def _standing_for(value: Any, made: Made | None = None) -> Any:
    """An object that stands for a service. What Python asks of types (`len`, `async with`) is asked of it as well."""
    kind = type(value)
    specials = [each for each in dir(kind) if each[:2] == each[-2:] == "__" and each not in _NOT_FORWARDED]
    forwarded = {each: _forwarding(each) for each in specials if callable(getattr(kind, each, None))}
    if callable(value):
        forwarded["__call__"] = _calling
    standing: Any = object.__new__(type(kind.__name__, (_Standing,), forwarded))
    object.__setattr__(standing, "_lab_value", value)
    object.__setattr__(standing, "_lab_made", made)
    return standing


class _Standing:
    __slots__ = ("__weakref__", "_lab_made", "_lab_value")

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, "_lab_value")
        if name == "__mro_entries__":
            return lambda bases: (value,)
        found = getattr(value, name)
        if name.startswith("__") or not is_action(found):
            return found
        return _recorded(Action(value, name, found, object.__getattribute__(self, "_lab_made")))

    def __setattr__(self, name: str, given: Any) -> None:
        setattr(unwrapped(self), name, given)

    def __delattr__(self, name: str) -> None:
        delattr(unwrapped(self), name)


def _forwarding(name: str) -> Callable[..., Any]:
    def forward(standing: Any, *arguments: Any, **named: Any) -> Any:
        value = unwrapped(standing)
        found = getattr(type(value), name)(value, *map(unwrapped, arguments), **named)
        if name == "__aenter__":
            return _entered(standing, found)
        return standing if found is value else found

    return forward


async def _entered(standing: Any, entering: Awaitable[Any]) -> Any:
    found = await entering
    return standing if found is unwrapped(standing) else found


def _calling(standing: Any, *arguments: Any, **named: Any) -> Any:
    """What a class makes is an instance of the service; an instance may be a coroutine function itself."""
    value = unwrapped(standing)
    if isinstance(value, type):
        made = value(*arguments, **named)
        return _standing_for(made, Made(value, arguments, named)) if type(made) is value else made
    if inspect.iscoroutinefunction(value.__call__):
        return _recorded(Action(value, "__call__", value.__call__))(*arguments, **named)
    return value(*arguments, **named)
