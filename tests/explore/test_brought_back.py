"""What a setup makes in the process is, at the beginning of each execution, what the setup made."""

from __future__ import annotations

import asyncio
import copy
import itertools
import queue
import random
import threading
from array import array
from collections import Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import ClassVar
from unittest.mock import Mock

import anyio
import pydantic
import pytest
from helpers.kit import Account, Bank, Base, add
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from lab import Scenario, actor, invariant
from lab.model.outcome import ResultKind
from lab.scenario.race import race_of
from lab.schedulers import make_scheduler

pytestmark = pytest.mark.anyio

GATHERED: list[str] = []
SET_BY_SETUP: asyncio.Event | None = None
NOTHING = "nothing"


class Cache:
    """Of the application's own, as a service of it may be."""

    __slots__ = ("__hits", "held", "late")

    def __init__(self) -> None:
        self.__hits = 0
        self.held: dict[str, list[int]] = {"a": [1]}

    def use(self) -> None:
        self.__hits += 1
        self.held["a"].append(2)
        self.late = True

    def look(self) -> object:
        return self.__hits, dict(self.held), list(self.held["a"]), hasattr(self, "late")


class Shelf(dict):
    def __init__(self) -> None:
        super().__init__(a=1)
        self.uses = 0

    def __setitem__(self, key, value) -> None:
        raise AssertionError("its own way in is not what brings it back")


def _use_shelf(shelf) -> None:
    dict.__setitem__(shelf, "b", 2)
    shelf.uses += 1


def _is_done(it) -> bool:
    return it[0].done()


async def _take(lock) -> None:
    await lock.acquire()


class Settings(pydantic.BaseModel):
    hits: int = 0
    names: list[str] = []


def _use_settings(it) -> None:
    it.hits += 1
    it.names.append("a")


def _use_plain(it) -> None:
    it.hits = 1


KINDS = {
    "a list": (lambda: [1], lambda it: it.append(2), list),
    "a list in a dict in a tuple": (lambda: ({"a": [1]},), lambda it: it[0]["a"].clear(), lambda it: it[0]["a"][:]),
    "a dict": (lambda: {"a": 1, "b": 2}, lambda it: it.update(a=it.pop("a")), list),
    "a set": (lambda: {1}, lambda it: it.add(2), set),
    "bytes": (lambda: bytearray(b"a"), lambda it: it.extend(b"b"), bytes),
    "a deque": (lambda: deque([1], 2), lambda it: it.append(2), lambda it: (list(it), it.maxlen)),
    "a counter": (Counter, lambda it: it.update("a"), dict),
    "a dict with defaults": (lambda: defaultdict(list), lambda it: it["a"].append(1), dict),
    "an ordered dict": (lambda: OrderedDict(a=1, b=2), lambda it: it.move_to_end("a"), list),
    "a dict of its own kind": (Shelf, _use_shelf, lambda it: (dict(it), it.uses)),
    "chance": (lambda: random.Random(1), lambda it: it.random(), lambda it: it.getstate()),
    "an object with slots": (Cache, Cache.use, Cache.look),
    "what a method is bound to": (lambda: Cache().use, lambda it: it(), lambda it: it.__self__.look()),
    "what is given beforehand": (lambda: partial(Cache.use, Cache()), lambda it: it(), lambda it: it.args[0].look()),
    "plain attributes": (SimpleNamespace, _use_plain, lambda it: dict(vars(it))),
    "a model": (Settings, _use_settings, lambda it: (it.hits, it.names[:], it.model_fields_set)),
    "a mock": (Mock, lambda it: it.send(1), lambda it: it.send.call_count),
    "a dict in Python": (UserDict, lambda it: it.update(a=1), dict),
    "a list in Python": (UserList, lambda it: it.append(1), list),
    "an array": (lambda: array("i", [0]), lambda it: it.append(1), list),
    "an iterator": (lambda: [iter([1, 2])], lambda it: next(it[0]), lambda it: list(copy.copy(it[0]))),
    "a cycle": (lambda: [itertools.cycle("ab")], lambda it: next(it[0]), lambda it: repr(it[0].__reduce__()[2])),
    "a counter in a list": (lambda: [itertools.count(3, 2)], lambda it: next(it[0]), repr),
    "a future": (lambda: [asyncio.get_running_loop().create_future()], lambda it: it[0].set_result(1), _is_done),
    "an event": (asyncio.Event, asyncio.Event.set, asyncio.Event.is_set),
    "a lock": (asyncio.Lock, _take, asyncio.Lock.locked),
    "a condition": (asyncio.Condition, _take, lambda it: it.locked()),
    "a semaphore": (lambda: asyncio.Semaphore(2), _take, lambda it: it._value),
    "a queue": (asyncio.Queue, lambda it: it.put_nowait(1), asyncio.Queue.qsize),
    "an event of threads": (threading.Event, threading.Event.set, threading.Event.is_set),
    "a queue of threads": (queue.Queue, lambda it: it.put(1), queue.Queue.qsize),
    "an event of anyio": (anyio.Event, lambda it: it.set(), lambda it: it.is_set()),
    "a semaphore of anyio": (lambda: anyio.Semaphore(2), _take, lambda it: it.value),
    "a stream of anyio": (
        lambda: anyio.create_memory_object_stream[int](3),
        lambda it: it[0].send_nowait(1),
        lambda it: it[0].statistics().current_buffer_used,
    ),
}


async def _looks(explorer, scenario, times: int = 3) -> list[object]:
    """What an actor named `looks` found in each of some executions."""
    scheduler, found = make_scheduler("random", 0), []
    for number in range(times):
        ending = (await explorer.run(scenario, scheduler, execution=number)).outcome.results["looks"]
        assert ending.kind is ResultKind.RETURNED, ending
        found.append(ending.value)
    return found


class Looking(Scenario):
    """One actor that looks at a thing and changes it; the other is there since there must be two."""

    metadata = Base.metadata

    @actor
    async def looks(self, session: AsyncSession) -> object:
        await session.execute(text("SELECT 1"))
        return await self.look_and_change()

    @actor
    async def other(self, session: AsyncSession) -> None:
        await session.execute(text("SELECT 1"))

    async def look_and_change(self) -> object:
        raise NotImplementedError


@pytest.mark.parametrize("kind", KINDS)
async def test_each_execution_begins_with_what_the_setup_made(explorer, kind) -> None:
    make, change, look = KINDS[kind]
    made = []

    class Holds(Looking):
        async def setup(self, session: AsyncSession) -> None:
            self.thing = self.same = make()
            made.append(self.thing)
            self.count, self.future = itertools.count(), asyncio.get_running_loop().create_future()

        async def look_and_change(self) -> str:
            assert self.same is self.thing
            assert (next(self.count), self.future.done()) == (0, False)
            self.future.set_result(1)
            found = look(self.thing)
            if asyncio.iscoroutine(done := change(self.thing)):
                await done
            assert look(self.thing) != found, "the change is seen"
            return repr(found)

    first, *later = await _looks(explorer, Holds())
    assert later == [first, first]
    if kind == "a stream of anyio":
        for end in itertools.chain(*made):
            end.close()


async def test_names_that_a_setup_binds_elsewhere_are_brought_back(explorer) -> None:
    around = NOTHING

    class Elsewhere(Looking):
        count = 0

        async def setup(self, session: AsyncSession) -> None:
            global SET_BY_SETUP  # noqa: PLW0603 - as an application may
            nonlocal around
            SET_BY_SETUP = asyncio.Event()
            around = "made"
            type(self).count = 1

        async def look_and_change(self) -> object:
            global SET_BY_SETUP  # noqa: PLW0603 - as an application may
            nonlocal around
            found = (SET_BY_SETUP is None or SET_BY_SETUP.is_set(), around, self.count)
            SET_BY_SETUP.set()
            SET_BY_SETUP = None
            around = "changed"
            type(self).count += 1
            return found

    assert await _looks(explorer, Elsewhere()) == [(False, "made", 1)] * 3


async def test_the_setup_of_a_race_may_bind_variables_around_it(explorer) -> None:
    done = None

    async def setup(session: AsyncSession) -> None:
        nonlocal done
        session.add(Account(id=1, balance=0))
        done = asyncio.Event()

    async def gives(session: AsyncSession) -> None:
        await session.execute(add(1, 5))
        await session.commit()
        done.set()

    async def waits(session: AsyncSession) -> int:
        await done.wait()
        return await session.scalar(text("SELECT balance FROM account"))

    async def it_saw_five(outcome) -> None:
        assert outcome.results["waits"].value == 5

    race = race_of((__name__, "race"), [gives, waits], setup=setup, holds=it_saw_five, metadata=Base.metadata)
    scheduler = make_scheduler("random", 0)
    for number in range(6):
        assert not (await explorer.run(race, scheduler, execution=number)).failed


async def test_what_actors_bind_to_the_scenario_ends_with_the_execution(explorer) -> None:
    class Binds(Looking):
        async def look_and_change(self) -> bool:
            found = hasattr(self, "seen")
            self.seen = True
            return found

    assert await _looks(explorer, Binds()) == [False] * 3


async def test_another_scenario_with_the_same_parameters_holds_what_was_made(explorer) -> None:
    @dataclass(frozen=True)
    class Counts(Looking):
        size: int = 1
        log: list[int] = field(default_factory=list, init=False)

        async def setup(self, session: AsyncSession) -> None:
            object.__setattr__(self, "made", [self.size])

        async def look_and_change(self) -> list[int]:
            self.log.append(1)
            self.made.append(len(self.log))
            return list(self.made)

    assert await _looks(explorer, Counts(2)) == [[2, 1]] * 3
    assert await _looks(explorer, Counts(2)) == [[2, 1]] * 3
    assert await _looks(explorer, Counts(3)) == [[3, 1]] * 3


class Pool:
    """Of one thing, which is made when somebody asks for it."""

    def __init__(self) -> None:
        self.free: asyncio.Queue[object] = asyncio.Queue()
        self.made = 0

    async def take(self) -> object:
        if self.free.empty() and not self.made:
            self.made = 1
            return object()
        return await self.free.get()


class Proxy:
    """Of what there is in an execution only, as applications have for a session."""

    def __getattr__(self, name: str) -> object:
        raise LookupError(name)

    @property
    def __class__(self) -> type:
        raise RuntimeError


class Service:
    def __init__(self) -> None:
        self.count = 5
        self.ready = asyncio.Event()

    def reset(self) -> None:
        self.count = 0


POOL, PROXIES, SERVICE = Pool(), [Proxy()], Service()
COUNTED = 0


async def test_no_part_of_an_object_is_brought_back_without_the_rest(explorer) -> None:
    class Takes(Looking):
        async def look_and_change(self) -> int:
            POOL.free.put_nowait(await POOL.take())
            return POOL.made

    assert await _looks(explorer, Takes()) == [1] * 3
    assert POOL.free.qsize() == POOL.made


async def test_no_code_of_a_value_runs_for_that(explorer) -> None:
    class Holds(Looking):
        async def setup(self, session: AsyncSession) -> None:
            self.buffer = bytearray(b"abc")
            self.view = memoryview(self.buffer)
            self.values = [*PROXIES, Proxy()]

        async def look_and_change(self) -> bytes:
            found = bytes(self.buffer)
            self.view[0] = 0
            return found

    assert await _looks(explorer, Holds()) == [b"abc"] * 3


async def test_a_variable_that_a_setup_leaves_empty_is_empty_again(explorer) -> None:
    if explorer is None:
        around = None

    class Leaves(Looking):
        async def setup(self, session: AsyncSession) -> None:
            nonlocal around
            around = 1
            del around

        async def look_and_change(self) -> object:
            nonlocal around
            try:
                return around
            except NameError:
                return "empty"
            finally:
                around = 2

    assert await _looks(explorer, Leaves()) == ["empty"] * 3


async def test_a_name_may_be_bound_to_what_it_is_already(explorer) -> None:
    around = None

    class Resets(Looking):
        count = 0

        async def setup(self, session: AsyncSession) -> None:
            global COUNTED  # noqa: PLW0603 - as an application may
            nonlocal around
            around = None
            COUNTED = 0
            type(self).count = 0

        async def look_and_change(self) -> object:
            global COUNTED  # noqa: PLW0603
            nonlocal around
            found = (COUNTED, around, self.count)
            COUNTED += 1
            around = self
            type(self).count += 1
            return found

    assert await _looks(explorer, Resets()) == [(0, None, 0)] * 3


async def test_an_object_that_the_setup_names_is_brought_back(explorer) -> None:
    class Names(Looking):
        async def setup(self, session: AsyncSession) -> None:
            self.begin()

        def begin(self) -> None:
            SERVICE.reset()

        async def look_and_change(self) -> object:
            found = SERVICE.count, SERVICE.ready.is_set()
            SERVICE.count += 1
            SERVICE.ready.set()
            return found

    assert await _looks(explorer, Names()) == [(0, False)] * 3


class Registry:
    """State of a class that is not the scenario's."""

    count = 0
    names: ClassVar[list[str]] = []
    made = None

    def __init__(self) -> None:
        self.uses = 0

    @classmethod
    def get(cls) -> Registry:
        """The only one."""
        cls.made = cls.made or cls()
        return cls.made

    @classmethod
    def reset(cls) -> None:
        """As it is at the beginning."""
        cls.count = 0


def count_up() -> int:
    """A function that counts its calls."""
    count_up.calls += 1
    return count_up.calls


SEEN: list[int] = []


def reset_all() -> None:
    """What a setup may call."""
    Registry.reset()
    Registry.names.clear()
    SEEN.clear()
    count_up.calls = 0


async def test_classes_functions_and_lists_that_the_setup_names_are_brought_back(explorer) -> None:
    class Resets(Looking):
        async def setup(self, session: AsyncSession) -> None:
            reset_all()
            Registry.get().uses = 0

        async def look_and_change(self) -> object:
            found = (Registry.count, Registry.get().uses, len(Registry.names), len(SEEN), count_up())
            Registry.count += 1
            Registry.get().uses += 1
            Registry.names.append("a")
            SEEN.append(1)
            return found

    assert await _looks(explorer, Resets()) == [(0, 0, 0, 0, 1)] * 3


async def test_a_parameter_that_is_a_list_is_brought_back(explorer) -> None:
    @dataclass(frozen=True)
    class Logs(Looking):
        log: list[int] = field(default_factory=list)

        async def look_and_change(self) -> list[int]:
            self.log.append(1)
            return list(self.log)

    assert await _looks(explorer, Logs()) == [[1]] * 3


class Keyed:
    """Where it belongs in a set depends on an attribute."""

    def __init__(self) -> None:
        self.key = 1

    def __hash__(self) -> int:
        return self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyed) and self.key == other.key


async def test_elements_are_as_they_were_before_they_are_put_back(explorer) -> None:
    class Holds(Looking):
        async def setup(self, session: AsyncSession) -> None:
            self.one = Keyed()
            self.all = {self.one}

        async def look_and_change(self) -> bool:
            found = self.one in self.all
            self.one.key = 2
            return found

    assert await _looks(explorer, Holds()) == [True] * 3


async def test_what_gathers_something_over_executions_is_let_be(explorer) -> None:
    around: list[int] = []
    engine = create_async_engine("postgresql+asyncpg://nobody@nowhere.invalid/none")

    class Gathers(Looking):
        seen = []  # noqa: RUF012 - that it is one for all is what is tried

        async def setup(self, session: AsyncSession) -> None:
            self.engine, self.row = engine, Account(id=1, balance=1)
            session.add(self.row)

        async def look_and_change(self) -> bool:
            GATHERED.append("a")
            around.append(1)
            self.seen.append(1)
            return self.engine is engine

    GATHERED.clear()
    assert await _looks(explorer, Gathers()) == [True] * 3
    assert len(GATHERED) == len(around) == len(Gathers.seen) >= 3


async def test_a_right_handshake_by_an_event_of_the_setup_passes(explorer) -> None:
    class Handshake(Bank):
        async def setup(self, session: AsyncSession) -> None:
            await super().setup(session)
            object.__setattr__(self, "done", asyncio.Event())

        @actor
        async def gives(self, session: AsyncSession) -> None:
            await session.execute(add(1, 5))
            await session.commit()
            self.done.set()

        @actor
        async def waits(self, session: AsyncSession) -> int:
            await self.done.wait()
            return await session.scalar(text("SELECT balance FROM account WHERE id = 1"))

        @invariant
        async def it_saw_what_was_given(self, outcome) -> None:
            assert outcome.results["waits"].value == 105

    scheduler = make_scheduler("random", 0)
    for number in range(6):
        record = await explorer.run(Handshake(), scheduler, execution=number)
        assert not record.failed, record.findings
