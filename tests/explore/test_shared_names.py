"""What actors share in the process by name is found where it matters when code behind a statement runs."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import ContextVar
from enum import Enum
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.kit import Bank, add
from sqlalchemy import select, text

import lab
from lab import actor, invariant
from lab.explore.shared_names import shared_names
from lab.scenario.declare import Scenario
from lab.search.hunt import Hunt

CACHE: dict[str, int] = {}
QUEUE: deque[int] = deque()
SEEN: list[str] = []
LEVELS = {"low": 1}
READY = asyncio.Event()
GUARD = asyncio.Lock()
busy = False


class Guard:
    busy = 0
    least = 5


class Status(Enum):
    RUNNING = "running"

    def named(self, values: set[str]) -> None:
        values.add(self.value)


class Registry:
    def __init__(self) -> None:
        self.names: set[str] = set()

    def add(self, name: str) -> None:
        self.names.add(name)


class Rates:
    """Only looks at what it was made with."""

    def __init__(self) -> None:
        self.rates = {"a": 1}

    def of(self, name: str) -> int:
        return self.rates[name]


REGISTRY, RATES = Registry(), Rates()
COUNTERS = SimpleNamespace(asked=0)
WHO: ContextVar[str] = ContextVar("who")


@lru_cache
def price_of(name: str) -> int:
    return len(name)


def remembered(name: str) -> int | None:
    return CACHE.get(name)


def forget(name: str) -> None:
    CACHE.pop(name, None)


def of(one: Any, other: Any = None) -> type[Scenario]:
    """A scenario of two actors that run such a function, or each its own, between two statements."""

    two = other or one

    class Both(Bank):
        @actor
        async def alice(self, session: Any) -> None:
            await session.execute(add(1))
            one("alice")
            await session.commit()

        @actor
        async def bob(self, session: Any) -> None:
            await session.execute(add(2))
            two("bob")
            await session.commit()

    return Both


def _binds(name: str) -> None:
    global busy  # noqa: PLW0603 - that is what is looked for
    busy = not busy


def _counts(name: str) -> None:
    Guard.busy += 1


def _around() -> Any:
    last: str = ""

    def tells(name: str) -> None:
        nonlocal last
        last = f"{last}{name}"

    return tells


def _registers(name: str) -> None:
    REGISTRY.add(name)


def _prices(name: str) -> int:
    return price_of(name)


def _says(name: str) -> None:
    WHO.set(name)


def _sees(name: str) -> None:
    SEEN.append(name)


def _stores(name: str) -> None:
    CACHE[name] = 1


SHARED = {
    "an item": (_stores, None, "CACHE"),
    "an item of another": (_stores, lambda name: name in CACHE, "CACHE"),
    "behind functions": (remembered, forget, "CACHE"),
    "a queue": (lambda name: QUEUE.popleft(), lambda name: QUEUE.append(1), "QUEUE"),
    "an event": (lambda name: READY.set(), lambda name: READY.is_set(), "READY"),
    "an attribute of a class": (_counts, None, "Guard.busy"),
    "a method of an object": (REGISTRY.add, None, "one"),
    "an object": (_registers, None, "REGISTRY"),
    "an object of a library": (lambda name: COUNTERS.asked, None, "COUNTERS"),
    "a cached function": (_prices, None, "price_of"),
    "a variable around": (_around(), None, "last"),
}


@pytest.mark.parametrize("kind", SHARED)
def test_it_is_named_what_one_changes_and_another_looks_at(kind):
    one, other, name = SHARED[kind]
    assert shared_names(of(one, other)) == (name,)


def test_a_variable_of_the_module_is_named():
    assert "busy" in shared_names(of(_binds))


APART = {
    "what is only added to": (_sees, None),
    "what a method only adds to": (SEEN.append, None),
    "what nobody changes": (lambda name: LEVELS["low"], lambda name: Guard.least),
    "what one alone has": (_stores, lambda name: name),
    "an object that only looks": (lambda name: RATES.of("a"), None),
    "a member of an enumeration": (lambda name: Status.RUNNING.value, None),
    "a variable of its own task": (_says, None),
    "a lock": (lambda name: GUARD.locked(), None),
    "its own variables": (lambda name: {name: 1}.pop(name), None),
    "an attribute of its own": (lambda name: setattr(Registry(), "names", {name}), None),
}


@pytest.mark.parametrize("kind", APART)
def test_nothing_is_named_that_is_no_others_business(kind):
    assert shared_names(of(*APART[kind])) == ()


async def _fills(session: Any, name: str, *, points: bool) -> None:
    await session.execute(add(1))
    if points:
        await lab.point("before the cache")
    CACHE[name] = 1


async def _fills_at_once(session: Any, name: str) -> None:
    await session.execute(add(1))
    CACHE[name] = 1


@pytest.mark.parametrize(("other", "named"), [(_fills, ()), (_fills_at_once, ("CACHE",))])
def test_nothing_is_named_where_points_of_both_make_steps_of_it(other, named):
    class Pointed(Bank):
        @actor
        async def alice(self, session: Any) -> None:
            await _fills(session, "alice", points=True)

        @actor
        async def bob(self, session: Any) -> None:
            await other(session, "bob")

    assert shared_names(Pointed) == named


class StaleCache(Bank):
    """Bob's change may come between alice's read and what she puts into the cache."""

    @actor
    async def alice(self, session: Any) -> None:
        CACHE["one"] = await session.scalar(text("SELECT balance FROM account WHERE id = 1"))

    @actor
    async def bob(self, session: Any) -> None:
        await session.execute(add(1))
        await session.commit()
        CACHE.pop("one", None)

    @invariant
    async def the_cache_is_fresh(self, session: Any) -> None:
        held = CACHE.pop("one", None)
        assert held in (None, await session.scalar(text("SELECT balance FROM account WHERE id = 1")))


class Pointed(StaleCache):
    """With a point the lab comes between them."""

    @actor
    async def alice(self, session: Any) -> None:
        read = await session.scalar(select(1).from_statement(text("SELECT balance FROM account WHERE id = 1")))
        await lab.point("fill")
        CACHE["one"] = read


async def test_no_hunt_says_that_all_was_run_where_such_names_are(explorer):
    """The race is real, as the same with a point shows."""
    result = await Hunt.of(StaleCache(), scheduler="dpor", executions=50, refine=False).run(explorer)
    assert (result.failures, result.complete) == ([], False)
    assert any("when actors come to CACHE in the process" in each for each in result.unsearched), result.unsearched
    found = await Hunt.of(Pointed(), scheduler="dpor", executions=50, refine=False).run(explorer)
    assert found.failures
