"""A verdict names what was not searched, and stops doing so once it is; nothing is "all" beside such a name."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from helpers.kit import Account, Bank
from sqlalchemy import event, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from lab import actor
from lab.analysis.tally import LOST, ONE_TRACE, HuntResult
from lab.explore import Conditions
from lab.explore.unsearched import SHARED
from lab.scenario.declare import target_of
from lab.search.hunt import Hunt
from lab.search.job import Job

pytestmark = pytest.mark.anyio
RAISED = update(Account).where(Account.balance >= 0).values(balance=Account.balance + 1)


@dataclass(frozen=True)
class Raises(Bank):
    """Two statements on all four rows."""

    equivalent = None

    async def raises(self, session: Any, name: str) -> None:
        await session.execute(RAISED)

    @actor(names=("alice", "bob"))
    async def work(self, session: Any, name: str) -> None:
        await self.raises(session, name)
        await session.commit()


class RaisesWhole(Raises):
    breakpoints = False


class LocksAtOnce(Raises):
    async def raises(self, session: Any, name: str) -> None:
        await session.execute(select(Account).with_for_update(skip_locked=True))


class Locks(Raises):
    async def raises(self, session: Any, name: str) -> None:
        await session.execute(select(Account).with_for_update())


class RaisesInText(Raises):
    async def raises(self, session: Any, name: str) -> None:
        await session.execute(text("UPDATE account SET balance = balance + 1"))


class RaisesWhatNobodySaw(Raises):
    """A text that only a race brings about."""

    async def raises(self, session: Any, name: str) -> None:
        first = await session.scalar(select(Account.balance).where(Account.id == 1))
        await session.execute(text(f"UPDATE account SET balance = balance + 1 /* {name} saw {first} */"))


class Hands(Raises):
    """One waits for the other in the process."""

    async def raises(self, session: Any, name: str) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))
        await session.commit()
        if name == "alice":
            self.box.append(asyncio.Event())
            await self.box[-1].wait()
        else:
            while not self.box or self.box[-1].is_set():  # noqa: ASYNC110 - as some code does
                await asyncio.sleep(0)
            self.box[-1].set()


class Threads(Raises):
    """Both work in a thread."""

    async def raises(self, session: Any, name: str) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))
        await asyncio.to_thread(len, name)


class Starts(Raises):
    """One starts a process."""

    async def raises(self, session: Any, name: str) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))
        if name == "alice":
            process = await asyncio.create_subprocess_exec("true")
            await process.wait()


class Limited(Raises):
    """Waits for a lock as long as its limit says, which the server keeps."""

    LIMIT = "SET LOCAL lock_timeout = '10min'"

    async def raises(self, session: Any, name: str) -> None:
        await session.execute(text(self.LIMIT))
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))


class LimitedByFunction(Limited):
    LIMIT = "SELECT set_config('statement_timeout', '10min', true)"


def engine_of(**options: Any) -> AsyncEngine:
    return create_async_engine("postgresql+asyncpg://nobody@nowhere.invalid/none", connect_args=options)


class LimitedByEngine(Raises):
    """The engine says it with each connection."""

    watch = (engine_of(server_settings={"statement_timeout": "10min", "lock_timeout": "0"}),)

    async def raises(self, session: Any, name: str) -> None:
        async with AsyncSession(self.watch[0]) as own, own.begin():
            await own.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))


class LimitedByOption(LimitedByEngine):
    watch = (engine_of(server_settings={"options": "-c search_path=public -c statement_timeout=10min"}),)


class LimitedByClient(LimitedByEngine):
    watch = (engine_of(command_timeout=600),)


class LimitedByEvent(LimitedByEngine):
    watch = (engine_of(),)


@event.listens_for(LimitedByEvent.watch[0].sync_engine, "connect")
def _limits(connection: Any, record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SET statement_timeout = '10min'")
    cursor.close()


class UnlimitedByEngine(LimitedByEngine):
    watch = (engine_of(server_settings={"statement_timeout": "0ms", "application_name": "shop"}),)


class LimitedByParameter(Limited):
    async def raises(self, session: Any, name: str) -> None:
        await session.execute(select(func.set_config("statement_timeout", "10min", True)))
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))


class LimitedForOthers(Limited):
    LIMIT = "SET LOCAL idle_session_timeout TO '10min'"


class Struck(Limited):
    """What happens when it is over is searched."""

    faults = ("lock-timeout",)


class Unlimited(Limited):
    LIMIT = "SET LOCAL lock_timeout = '0'"


class Alone(Limited):
    """Nobody waits for a lock."""

    async def raises(self, session: Any, name: str) -> None:
        await session.execute(text(self.LIMIT))
        own = 1 if name == "alice" else 2
        await session.execute(update(Account).where(Account.id == own).values(balance=Account.balance + 1))


class Stores(Raises):
    """What it changes is in no table."""

    async def raises(self, session: Any, name: str) -> None:
        await session.execute(select(func.lo_from_bytea(1 if name == "alice" else 2, b"seen")))


class Streams(Raises):
    """Locks its rows one after the other, by a cursor of the server's."""

    async def raises(self, session: Any, name: str) -> None:
        rows = select(Account).order_by(Account.id).with_for_update()
        async for _ in await session.stream_scalars(rows):
            pass


class StreamsWhole(Streams):
    breakpoints = False


class Moves(Raises):
    """The same in text, without a row that comes back."""

    async def raises(self, session: Any, name: str) -> None:
        await session.execute(text("DECLARE each CURSOR FOR SELECT FROM account ORDER BY id FOR NO KEY UPDATE"))
        await session.execute(text("MOVE ALL FROM each"))


class StreamsOne(Raises):
    """One row is locked at once or not at all."""

    async def raises(self, session: Any, name: str) -> None:
        rows = select(Account).where(Account.id == 1).with_for_update()
        async for _ in await session.stream_scalars(rows):
            pass


class ReadsWhatItRaised(Raises):
    """What it locked before has nothing to do with the cursor."""

    async def raises(self, session: Any, name: str) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))
        async for _ in await session.stream_scalars(select(Account).order_by(Account.id)):
            pass


class OnlyReads(Raises):
    """A cursor that locks nothing has no order of locks."""

    async def raises(self, session: Any, name: str) -> None:
        async for _ in await session.stream_scalars(select(Account).order_by(Account.id)):
            pass
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))


class Plain(Raises):
    async def raises(self, session: Any, name: str) -> None:
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))


class ReadsInText(Raises):
    async def raises(self, session: Any, name: str) -> None:
        await session.execute(text("SELECT sum(balance) FROM public.account"))
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 1))


async def hunted(
    explorer: Any, cls: type[Raises], level: str | None = None, checks: tuple[str, ...] = ()
) -> HuntResult:
    cls.box = []  # type: ignore[attr-defined]
    scheduler, executions = ("random", 20) if cls is Starts else ("dpor", 300)
    conditions = Conditions(level, checks=checks)
    job = Job(target_of(cls), scheduler, executions, refine=False, conditions=conditions, keep_going=True)
    return await Hunt(cls(), job).run(explorer)


NAMED = {
    "a level": (Raises, "SERIALIZABLE", (), "at SERIALIZABLE a pause may decide who is refused"),
    "it would notice": (LocksAtOnce, None, (), "it would notice a pause"),
    "the scenario says so": (RaisesWhole, None, (), "the scenario or an option says so"),
    "nobody saw it": (RaisesWhatNobodySaw, None, (), "no serial run showed which rows it writes"),
    "shared in the process": (Hands, None, (), SHARED),
    "a limit": (Limited, None, (), "that the lock_timeout of bob is over, as the fault 'lock-timeout' has it"),
    "a limit of a function": (LimitedByFunction, None, (), "that the statement_timeout of alice is over, as the fault"),
    "a limit of an engine": (LimitedByEngine, None, (), "that the statement_timeout of alice is over, as the fault"),
    "a limit of an option": (LimitedByOption, None, (), "that the statement_timeout of alice is over, as the fault"),
    "a limit of an event": (LimitedByEvent, None, (), "that the statement_timeout of alice is over, as the fault"),
    "a limit of a parameter": (LimitedByParameter, None, (), "that the statement_timeout of bob is over, as the fault"),
    "a limit of the client": (LimitedByClient, None, (), "that the command_timeout of bob is over"),
    "a limit that no fault is": (LimitedForOthers, None, (), "that the idle_session_timeout of alice is over"),
    "a large object": (Stores, None, (), "what large objects hold in the end: only rows are compared"),
    "a stream": (Streams, None, (), "which is one step: it is a fetch from a cursor"),
    "a stream on purpose": (
        StreamsWhole,
        None,
        (),
        "FROM account ORDER BY ac…, which is one step: the scenario or an option says so",
    ),
    "a cursor": (Moves, None, (), "orders within what is fetched of DECLARE each CURSOR"),
    "a thread": (Threads, None, (), "orders within what bob does in a thread: len (test_unsearched.py:"),
    "a process": (Starts, None, (), "the order of what alice did outside the lab's control"),
    "reads": (ReadsInText, None, ("isolation",), "what else SELECT sum(balance) FROM public.account read"),
}


@pytest.mark.parametrize("name", NAMED)
async def test_the_verdict_names_it(explorer, name):
    cls, level, checks, said = NAMED[name]
    result = await hunted(explorer, cls, level, checks)
    assert any(said in each for each in result.unsearched), result.unsearched
    assert not result.complete


@pytest.mark.parametrize(
    "cls",
    [
        Raises,
        Locks,
        RaisesInText,
        Plain,
        ReadsInText,
        Unlimited,
        UnlimitedByEngine,
        Alone,
        StreamsOne,
        OnlyReads,
        ReadsWhatItRaised,
    ],
)
async def test_it_is_not_named_where_it_is_searched(explorer, cls):
    result = await hunted(explorer, cls)
    assert result.unsearched == []
    assert result.complete
    assert result.verdict == "pass"


async def test_a_limit_is_not_named_where_its_fault_strikes(explorer):
    """Then the search knows what comes of it."""
    result = await hunted(explorer, Struck)
    assert not any("lock_timeout" in each for each in result.unsearched), result.unsearched


def test_two_outcomes_of_one_trace_are_a_contradiction():
    result = HuntResult("x:Y", 0)
    result.note("trace", "outcome")
    result.note("trace", "outcome")
    assert result.unsearched == []
    result.note("trace", "other")
    assert result.unsearched == [f"reduction does not hold for this scenario: {ONE_TRACE}"]


def test_an_outcome_that_reduction_lost_is_a_contradiction():
    for reduced, complete in (({"one", "two"}, True), ({"one"}, False)):
        result = HuntResult("x:Y", 0)
        for number, outcome in enumerate(("one", "two")):
            result.note(str(number), outcome)
        result.ended(reduced, complete=True)
        assert result.complete is complete
        assert any(LOST in each for each in result.unsearched) is not complete
