"""A written scenario makes the calls that were recorded, with what lies between in its setup."""

import importlib
import sys

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import lab
from lab.engine.replaced import replaced
from lab.model.outcome import Ending
from lab.schedulers.serial import Serial
from lab.search.races.actions import Actions
from lab.search.races.findings import Raced, Standing
from lab.search.races.pairs import Kind, Pair
from lab.search.races.recording import Recorder
from lab.search.races.written import write_races

SERVICE = """
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[Decimal]
    entries: Mapped[list["Entry"]] = relationship()


class Entry(Base):
    __tablename__ = "entry"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    day: Mapped[date]


@dataclass
class Sum:
    amount: Decimal
    day: date


async def deposit(session, account, amount: Sum):
    account.entries.append(Entry(day=amount.day))
    account.balance += amount.amount
    return len(account.entries)


async def close(session, account_id):
    raise ValueError(account_id)


async def setup(connection, factor):
    from sqlalchemy import update
    await connection.execute(update(Account).values(balance=Account.balance * factor))


async def seen(session, account_id):
    account = await session.get_one(Account, account_id, options=[selectinload(Account.entries)])
    return account.balance, [each.day for each in account.entries]
"""


@pytest.fixture
def bank(tmp_path, monkeypatch):
    (tmp_path / "bank_of_calls.py").write_text(SERVICE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("bank_of_calls")
    for each in ("bank_of_calls", "race_deposit_setup"):
        sys.modules.pop(each, None)


async def recorded(server, bank):
    """A deposit into an account with its entries, one that is refused, and one on a connection."""
    recorder = Recorder(server)
    engine = create_async_engine("postgresql+asyncpg://nobody@nowhere/bank")
    with replaced(Actions, "wanted", True), recorder.on():
        service = lab.actions(bank)
        async with engine.begin() as connection:
            await connection.run_sync(bank.Base.metadata.create_all)
        async with AsyncSession(engine, expire_on_commit=False) as session:
            session.add(account := bank.Account(balance=bank.Decimal(5), entries=[]))
            await session.commit()
            with recorder.test("test_it") as recording:
                await service.deposit(session, account, bank.Sum(bank.Decimal("1.50"), day=bank.date(2026, 1, 2)))
                await session.commit()
                with pytest.raises(ValueError, match="1"):
                    await service.close(session, account_id=1)
                await session.rollback()
                await service.seen(session, 1)
                async with engine.begin() as connection:
                    await service.setup(connection, 2)
        await engine.dispose()
    recorder.close()
    return recording.sent


async def test_a_written_scenario_runs_as_the_calls_did(server, explorer, bank, tmp_path):
    deposit, close, seen, double = await recorded(server, bank)
    raced = Raced(Pair(Kind.SAME_TABLES, deposit, double, (close, seen)), Standing.RACY, "")
    (said,) = write_races(tmp_path, [raced], "pytest --lab-races")
    assert said.startswith(f"wrote {tmp_path / 'race_deposit_setup.py'}: ")
    written = importlib.import_module("race_deposit_setup")
    record = await explorer.run(written.DepositSetup(), Serial())
    assert record.outcome.ending is Ending.COMPLETED
    assert {name: each.text for name, each in record.outcome.results.items()} == {"deposit": "1", "do_setup": "None"}
    assert record.outcome.rows["account"] == ("(1,13.00)",)
    assert record.outcome.rows["entry"] == ("(1,1,2026-01-02)",)
