"""A verdict names what was not searched, and stops doing so once it is; nothing is "all" beside such a name."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from helpers.kit import Account, Bank
from sqlalchemy import select, text, update

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


@pytest.mark.parametrize("cls", [Raises, Locks, RaisesInText, Plain, ReadsInText])
async def test_it_is_not_named_where_it_is_searched(explorer, cls):
    result = await hunted(explorer, cls)
    assert result.unsearched == []
    assert result.complete
    assert result.verdict == "pass"


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
