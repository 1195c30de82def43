"""What a setup makes in the process is, at the beginning of each execution, what the setup made."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from functools import partial

import anyio
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
OPEN = asyncio.Event()
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


async def _take(lock) -> None:
    await lock.acquire()


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
    "an event": (asyncio.Event, asyncio.Event.set, asyncio.Event.is_set),
    "a lock": (asyncio.Lock, _take, asyncio.Lock.locked),
    "a condition": (asyncio.Condition, _take, lambda it: it.locked()),
    "a semaphore": (lambda: asyncio.Semaphore(2), _take, lambda it: it._value),
    "a queue": (asyncio.Queue, lambda it: it.put_nowait(1), asyncio.Queue.qsize),
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

        async def look_and_change(self) -> str:
            assert self.same is self.thing
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


class Door:
    """Of the application's own: one for all."""

    lock = asyncio.Lock()

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[int] = asyncio.Queue()


DOOR = Door()
ROOMS = {"one": asyncio.Semaphore(1)}


async def test_locks_that_the_code_names_are_as_they_were_whoever_made_them(explorer) -> None:
    around = asyncio.Event()

    class Names(Looking):
        ready = anyio.Event()

        async def look_and_change(self) -> object:
            found = (
                OPEN.is_set(),
                self.ready.is_set(),
                around.is_set(),
                Door.lock.locked(),
                DOOR.waiting.qsize(),
                ROOMS["one"].locked(),
            )
            for event in (OPEN, self.ready, around):
                event.set()
            await Door.lock.acquire()
            await ROOMS["one"].acquire()
            DOOR.waiting.put_nowait(1)
            return found

    assert await _looks(explorer, Names()) == [(False, False, False, False, 0, False)] * 3


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
