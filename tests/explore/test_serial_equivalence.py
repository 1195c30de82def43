"""Serial equivalence on a real server: what no order of the requests explains is a violation, and nothing else is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

import pytest
from helpers.kit import Account, Bank, Order, replays
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant, serializable
from lab.errors import ScenarioError, UsageError, Violation
from lab.explore import Conditions
from lab.explore.serial_runs import SerialJudge
from lab.scenario.declare import invariants_of
from lab.schedulers import make_scheduler
from lab.schedulers.wrapper import Wrapper
from lab.search.hunt import Hunt
from lab.testing import Lab


class Base(DeclarativeBase):
    """Notes with an id from a sequence and the time of their writing."""


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    written: Mapped[datetime] = mapped_column(server_default=func.now())
    text: Mapped[str]


@dataclass(frozen=True)
class Deposits(Bank):
    """Two deposits by read, modify, write; nobody says what must hold."""

    async def deposit(self, session: AsyncSession) -> int:
        account = await session.get_one(Account, 1)
        account.balance += 10
        await session.commit()
        return 1

    @actor(names=("ann", "ben"))
    async def depositor(self, session: AsyncSession) -> int:
        return await self.deposit(session)


@dataclass(frozen=True)
class InTheDatabase(Deposits):
    """The same, counted where it stands."""

    async def deposit(self, session: AsyncSession) -> int:
        await session.execute(update(Account).where(Account.id == 1).values(balance=Account.balance + 10))
        await session.commit()
        return 1


@dataclass(frozen=True)
class Stated(Deposits):
    """The invariant in words of its own, beside another."""

    as_if_one_by_one = serializable()

    @invariant
    async def nobody_loses(self, session: AsyncSession) -> None:
        assert await session.scalar(select(func.min(Account.balance))) >= 100


@dataclass(frozen=True)
class TakenOut(Stated):
    as_if_one_by_one = None


LOST = "ann ben ben ben ann ann"


async def test_a_lost_update_is_found_though_nobody_stated_an_invariant(explorer):
    """With the nearest serial order and the difference, as a sentence and as data."""
    record = await explorer.run(Deposits(), Order(LOST))
    (finding,) = record.findings
    assert (finding.checker, finding.name) == ("serial", "some serial order gives the same results and rows")
    assert finding.message == (
        "account 1 holds (1,110); after ben, then ann, it holds (1,120); 2 serial orders were tried"
    )
    (difference,) = record.serial.differences
    assert (difference.what, difference.here, difference.there) == ("account 1", "(1,110)", "(1,120)")
    assert record.serial.order == ("ben", "ann")


async def test_what_counts_in_the_database_passes(explorer):
    scheduler = make_scheduler("random", 2)
    for number in range(40):
        record = await explorer.run(InTheDatabase(), scheduler, execution=number)
        assert not record.failed, record.findings
        assert record.serial is not None


async def test_it_is_an_invariant_like_others_with_a_name_and_a_place(explorer):
    record = await explorer.run(Stated(), Order(LOST))
    (finding,) = record.findings
    assert finding.name == "as if one by one"
    assert finding.location.partition(":")[0].endswith("test_serial_equivalence.py")
    assert {each.name for each in invariants_of(Stated)} == {"as if one by one", "nobody loses"}
    assert not (await explorer.run(TakenOut(), Order(LOST))).failed
    assert (await explorer.run(TakenOut(), Order(LOST), checks=("serial",))).failed


async def test_ids_and_clock_values_are_not_compared_and_that_is_said(explorer):
    """A request that rolled back has used up an id, which no serial run without it does."""

    @dataclass(frozen=True)
    class Notes(Scenario):
        metadata = Base.metadata
        suffix: str = ""

        @actor
        async def ann(self, session: AsyncSession) -> int:
            note = Note(text="ann's")
            session.add(note)
            await session.flush()
            number = note.id
            await session.commit()
            return number

        @actor
        async def ben(self, session: AsyncSession) -> None:
            await session.execute(insert(Note).values(text="ben's"))
            if await session.scalar(select(func.count(Note.id)).where(Note.text == "ann's")):
                await session.rollback()
            else:
                await session.commit()

    record = await explorer.run(Notes(), Order("ben ann ann ben ben"))
    assert not record.failed, record.findings
    assert "ids of note" in record.serial.normalised
    assert "column note.written" in record.outcome.learnt
    serial = await explorer.run(Notes(), Order("ann ann ben ben ben"))
    assert not serial.failed


async def test_who_was_refused_took_no_part_and_may_leave_nothing_behind(explorer):
    """At REPEATABLE READ one is aborted; that is fine, unless a part of his request was committed before."""

    @dataclass(frozen=True)
    class InTwoParts(Deposits):
        @actor(names=("ann", "ben"))
        async def depositor(self, sessions: async_sessionmaker[AsyncSession]) -> int:
            async with sessions.begin() as session:
                await session.execute(update(Account).where(Account.id == 2).values(balance=Account.balance + 1))
            async with sessions() as session:
                return await self.deposit(session)

    refused = await explorer.run(Deposits(), Order(LOST), isolation="REPEATABLE READ")
    assert refused.outcome.results["ann"].aborted
    assert not refused.failed
    order = "ann ann ann ben ben ben ben ben ann ann"
    half = await explorer.run(InTwoParts(), Order(order), isolation="REPEATABLE READ")
    assert half.outcome.results["ann"].aborted
    assert "account 2 holds (2,102); after ben, it holds (2,101)" in half.findings[0].message


async def test_an_error_of_the_application_may_be_part_of_the_order_or_not(explorer):
    """Here it is: ann sees what ben wrote, and says so."""

    @dataclass(frozen=True)
    class Careful(Deposits):
        allows = (ValueError,)

        @actor
        async def ann(self, session: AsyncSession) -> int:
            if (await session.get_one(Account, 1)).balance > 100:
                raise ValueError("somebody was here")
            return 0

        @actor
        async def ben(self, session: AsyncSession) -> int:
            return await self.deposit(session)

        depositor = None

    assert not (await explorer.run(Careful(), Order("ben ben ben ann"))).failed
    assert not (await explorer.run(Careful(), Order("ben ann ben ben"))).failed


async def test_more_than_six_actors_are_not_judged_unless_asked_and_then_refused(explorer):
    @dataclass(frozen=True)
    class Seven(Deposits):
        @actor(names=tuple("abcdefg"))
        async def depositor(self, session: AsyncSession) -> int:
            return await self.deposit(session)

    assert (await explorer.run(Seven(), Order())).serial is None
    with pytest.raises(ScenarioError, match="7 actors: the serial check takes at most 6"):
        await explorer.run(Seven(), Order(), checks=("serial",))
    with pytest.raises(UsageError, match="unknown check 'sereal'; known are isolation, serial"):
        await explorer.run(Deposits(), Order(), checks=("sereal",))


async def test_where_no_serial_order_can_run_nothing_is_claimed(plain):
    """Each waits in the process for what the other does, so there is nothing to compare with.

    Its flags outlive an execution, so two equal runs differ: nothing is learnt of it.
    """

    @dataclass(frozen=True)
    class Handshake(Bank):
        async def meet(self, session: AsyncSession, own: int) -> None:
            await session.execute(update(Account).where(Account.id == own).values(balance=1))
            await session.commit()
            flags[own - 1].set()
            await flags[2 - own].wait()
            await session.execute(update(Account).where(Account.id == 3).values(balance=own))
            await session.commit()

        @actor
        async def ann(self, session: AsyncSession) -> None:
            await self.meet(session, 1)

        @actor
        async def ben(self, session: AsyncSession) -> None:
            await self.meet(session, 2)

    flags = [asyncio.Event(), asyncio.Event()]

    class Fresh(Wrapper):
        """Clears the flags before each execution."""

        def begin(self, execution: int) -> bool:
            for flag in flags:
                flag.clear()
            return super().begin(execution)

    original = SerialJudge.effects

    async def cleared(judge, *given):
        for flag in flags:
            flag.clear()
        return await original(judge, *given)

    scheduler = Fresh(make_scheduler("random", 1))
    SerialJudge.effects = cleared
    try:
        record = await plain.run(Handshake(), scheduler)
    finally:
        SerialJudge.effects = original
    assert not record.failed
    assert record.serial.obstacle == "its actors cannot run one after the other in any order"


async def test_serial_runs_are_made_when_they_are_needed_and_once(explorer, monkeypatch):
    """A serial execution is one itself; a pass costs one at most; a violation all orders, once for its parameters."""
    runs = []
    original = SerialJudge.effects

    async def counted(judge, *given):
        runs.append(given[-1])
        return await original(judge, *given)

    @dataclass(frozen=True)
    class Once(Deposits):
        amount: int = 1

    monkeypatch.setattr(SerialJudge, "effects", counted)
    await explorer.run(Once(), Order("ann ann ann ben ben ben"))
    assert runs == []
    for _ in range(3):
        await explorer.run(Once(), Order(LOST))
    assert runs == [("ben", "ann")]
    await explorer.run(Once(amount=2), Order("ann ben ann ann ben ben"))
    assert len(runs) > 1


async def test_a_hunt_finds_minimises_and_replays_it(explorer):
    """The failure names the anomaly behind it; a check beside other invariants is asked for."""
    result = await Hunt.of(Deposits(), executions=50).run(explorer)
    (failure,) = result.failures
    assert (failure.checker, failure.anomaly, failure.preemptions) == ("serial", "P4", 1)
    assert (failure.identical, failure.replays) == (5, 5)
    assert failure.report.startswith("LOST UPDATE  account 1 holds (1,110); after ")
    assert "does not give the same result as any serial order (2 tried)" in failure.report
    assert await replays(explorer, await explorer.run(Deposits(), Order(LOST)))
    asked = await Hunt.of(TakenOut(), executions=50, conditions=Conditions(checks=("serial",))).run(explorer)
    assert asked.verdict == "fail"
    assert (await Hunt.of(TakenOut(), executions=20).run(explorer)).verdict == "pass"


async def test_in_a_test_it_is_a_violation_with_the_whole_report(explorer):
    lab = Lab(explorer)
    with pytest.raises(Violation, match="LOST UPDATE  account 1 holds"):
        await lab.check(TakenOut(), Order(LOST), checks=("serial",))
    assert not (await lab.check(TakenOut(), Order(LOST))).failed
