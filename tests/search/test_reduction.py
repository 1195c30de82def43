"""Reduction on a real server: how few executions exhaust a scenario, and that no outcome is lost by it.

The programs of `bench/reduction.py`, drawn from seeds, are run whole there; here a sample is.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.kit import Account, Bank, searched
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor
from lab.model.outcome import Ending
from lab.schedulers.dpor import Dpor

BENCH = Path(__file__).parent.parent.parent / "bench"


async def write(session: AsyncSession, account: int) -> None:
    await session.execute(update(Account).where(Account.id == account).values(balance=Account.balance + 1))


async def read(session: AsyncSession, account: int) -> int:
    return (await session.scalars(select(Account.balance).where(Account.id == account))).one()


@dataclass(frozen=True)
class LostUpdate(Bank):
    """SELECT, UPDATE, COMMIT each: 20 interleavings."""

    @actor(names=("ann", "ben"))
    async def deposits(self, session: AsyncSession) -> None:
        async with session.begin():
            (await session.get_one(Account, 1)).balance += 10


@dataclass(frozen=True)
class TwoRows(Bank):
    """Two rows in opposite order."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        async with session.begin():
            await write(session, 1)
            await write(session, 2)

    @actor
    async def ben(self, session: AsyncSession) -> None:
        async with session.begin():
            await write(session, 2)
            await write(session, 1)


@dataclass(frozen=True)
class Apart(Bank):
    """Two actors, two rows."""

    @actor
    async def ann(self, session: AsyncSession) -> None:
        async with session.begin():
            (await session.get_one(Account, 1)).balance += 10

    @actor
    async def ben(self, session: AsyncSession) -> None:
        async with session.begin():
            (await session.get_one(Account, 2)).balance += 10


@dataclass(frozen=True)
class ReadOnly(Bank):
    """The read-only anomaly with 4, 3 and 3 steps: 4,200 interleavings."""

    isolation = "REPEATABLE READ"

    @actor
    async def withdrawer(self, session: AsyncSession) -> int:
        async with session.begin():
            together = await read(session, 1) + await read(session, 2)
            await write(session, 1)
            return together

    @actor
    async def depositor(self, session: AsyncSession) -> None:
        async with session.begin():
            await read(session, 2)
            await write(session, 2)

    @actor
    async def report(self, session: AsyncSession) -> tuple[int, int]:
        async with session.begin():
            return await read(session, 1), await read(session, 2)


async def exhaust(explorer, scenario, most: int) -> list:
    """All executions of a search that has to be over after at most so many."""
    scheduler, records = Dpor(), []
    async for record in searched(explorer, scenario, scheduler):
        records.append(record)
        assert len(records) <= most
    return records


@pytest.mark.parametrize(
    ("scenario", "most", "outcomes"),
    [(LostUpdate(), 8, 2), (TwoRows(), 10, 3), (Apart(), 2, 1), (ReadOnly(), 250, 7)],
    ids=lambda value: type(value).__name__ if isinstance(value, Bank) else str(value),
)
async def test_a_small_scenario_is_exhausted_in_few_executions(plain, scenario, most, outcomes):
    """The numbers of outcomes are those of brute force over all interleavings."""
    records = await exhaust(plain, scenario, most)
    assert len({record.outcome.digest() for record in records}) == outcomes


async def test_both_victims_of_a_deadlock_are_found(plain):
    """A wait is dependent on every lock: who waits last is the victim, and both may be."""
    records = await exhaust(plain, TwoRows(), 10)
    deadlocks = [record.outcome for record in records if record.outcome.ending is Ending.DEADLOCKED]
    victims = {name for outcome in deadlocks for name, result in outcome.results.items() if result.sqlstate == "40P01"}
    assert victims == {"ann", "ben"}


def test_a_sample_of_programs_loses_no_outcome_and_independent_steps_can_be_swapped(monkeypatch, capsys):
    options = ["--no-catalogue", "--programs", "3", "--wide", "3", "--first", "4", "--pairs", "10", "--most", "40"]
    monkeypatch.syspath_prepend(BENCH)
    monkeypatch.setattr("sys.argv", ["reduction.py", *options, "--json"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("reduction").main()
    printed = capsys.readouterr()
    assert ended.value.code == 0, printed.err
    figures = json.loads(printed.out)
    assert figures["missed"] == figures["different"] == 0
    assert figures["reduced"] < figures["orders"]
    assert figures["pairs_swapped"] == 10
    assert figures["several"] >= 3, "programs with one outcome show nothing"


def test_wide_programs_use_every_kind_of_statement_and_are_the_same_for_the_same_seed(monkeypatch):
    monkeypatch.syspath_prepend(BENCH)
    wide, kinds = importlib.import_module("_wide").wide, importlib.import_module("_wide_kinds").KINDS
    programs = [wide(seed).program() for seed in range(len(kinds))]
    assert programs == [wide(seed).program() for seed in range(len(kinds))]
    used = {each.kind for program in programs for planned, _ in program.values() for each in planned}
    assert used == kinds.keys()


class NamedBase(DeclarativeBase):
    """A table with two keys."""


class Named(NamedBase):
    __tablename__ = "named"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(unique=True)
    n: Mapped[int] = mapped_column(default=0)


@dataclass(frozen=True)
class KeyOfAChangedRow(Scenario):
    """Each changes a row, then inserts one under the name of the other's row, which makes it wait for that change."""

    metadata = NamedBase.metadata
    allows = (DBAPIError,)

    async def setup(self, session: AsyncSession) -> None:
        session.add_all([Named(id=1, name="one"), Named(id=2, name="two")])

    @actor
    async def ann(self, session: AsyncSession) -> None:
        await session.execute(update(Named).where(Named.id == 1).values(n=1))
        await session.execute(insert(Named).values(id=5, name="two", n=0))

    @actor
    async def ben(self, session: AsyncSession) -> None:
        await session.execute(update(Named).where(Named.id == 2).values(n=1))
        await session.execute(insert(Named).values(id=6, name="one", n=0))


async def test_a_changed_row_keeps_others_from_all_its_keys(plain):
    """Two inserts that wait for each other's change are a deadlock, with either victim, and both fail when in turn."""
    records = await exhaust(plain, KeyOfAChangedRow(), 20)
    assert {tuple(result.sqlstate for _, result in sorted(each.outcome.results.items())) for each in records} == {
        ("23505", "23505"),
        ("40P01", "23505"),
        ("23505", "40P01"),
    }
