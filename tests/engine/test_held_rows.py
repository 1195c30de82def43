"""A statement whose transaction holds its first row already has no breakpoint, and the server is not asked for that."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from helpers.decided import said
from helpers.kit import Account, Bank, Order
from sqlalchemy import bindparam, func, select, text, update

from lab import actor
from lab.model.footprint import Access, Lock, Rows
from lab.postgres.locks.row_locks import PostgresRowLocks
from lab.postgres.statements.held import HeldRows
from lab.postgres.statements.met import MetRow

ONE = select(Account.balance).where(Account.id == bindparam("one"))
BOTH = update(Account).where(Account.id == bindparam("i")).values(balance=Account.balance + 1)


async def locks(session):
    for number in (1, 2):
        await session.execute(ONE.with_for_update(), {"one": number})


async def writes_the_first(session):
    await session.execute(update(Account).where(Account.id == 1).values(balance=1))


async def locks_in_a_savepoint_that_stays(session):
    async with session.begin_nested():
        await locks(session)


async def locks_in_a_savepoint_and_goes_back(session):
    nested = await session.begin_nested()
    await locks(session)
    await nested.rollback()


async def goes_back_in_text(session):
    await session.execute(text("SAVEPOINT mine"))
    await locks(session)
    await session.execute(text("SELECT 1"))
    await session.execute(text("ROLLBACK TO SAVEPOINT mine -- and on"))


async def locks_in_the_transaction_before(session):
    await locks(session)
    await session.commit()


async def locks_what_is_not_there(session):
    for number in (1, 2):
        await session.execute(ONE.where(Account.balance > 500).with_for_update(), {"one": number})


async def locks_one_of_a_list(session):
    await session.execute(select(Account.id).where(Account.id.in_([1, 2]), Account.id > 1).with_for_update())


async def locks_weakly(session):
    await session.execute(ONE.with_for_update(key_share=True, read=True), {"one": 1})


async def locks_the_second(session):
    await session.execute(ONE.with_for_update(), {"one": 2})


async def reads(session):
    await session.execute(ONE, {"one": 1})


async def counts(session):
    await session.execute(select(func.count()).select_from(Account).where(Account.id == 1))


BEFORE = [
    *(locks, writes_the_first, locks_in_a_savepoint_that_stays, locks_in_a_savepoint_and_goes_back),
    *(goes_back_in_text, locks_in_the_transaction_before, locks_what_is_not_there, locks_one_of_a_list, locks_weakly),
    *(locks_the_second, reads, counts),
]
KNOWN = {locks, writes_the_first}
"""These are not asked about."""
FREE = {locks_in_a_savepoint_and_goes_back, goes_back_in_text, locks_in_the_transaction_before, reads, counts}
FREE |= {locks_what_is_not_there, locks_one_of_a_list, locks_the_second}
"""After these the first row is free, so there is a breakpoint where the second is free as well."""


@dataclass(frozen=True)
class Writes(Bank):
    """One who does something and then writes two accounts in one statement, and one who looks on."""

    before: int = 0

    @actor
    async def ann(self, session):
        await BEFORE[self.before](session)
        await (await session.connection()).execute(BOTH, [{"i": 1}, {"i": 2}])
        await session.commit()

    @actor
    async def ben(self, session):
        for _ in range(3):
            await session.execute(text("SELECT 1"))
        await session.commit()


@pytest.mark.parametrize("before", BEFORE, ids=[each.__name__ for each in BEFORE])
async def test_the_breakpoints_are_those_that_the_server_would_say(explorer, monkeypatch, before):
    """Each question is counted; then the same with a question for each statement."""
    asked = []
    ask = PostgresRowLocks.rows

    async def rows(self, statement):
        asked.append(statement)
        return await ask(self, statement)

    monkeypatch.setattr(PostgresRowLocks, "rows", rows)
    scenario = Writes(BEFORE.index(before))
    await explorer.run(scenario, Order())  # the serial runs before it show which rows are written
    asked.clear()
    record = await explorer.run(scenario, Order())
    assert (not asked) == (before in KNOWN)
    monkeypatch.setattr(HeldRows, "has", lambda self, row: False)
    again = await explorer.run(scenario, Order())
    assert asked
    assert [said(step.alternatives) for step in record.trace] == [said(step.alternatives) for step in again.trace]
    offered = any("@" in each for step in record.trace for each in said(step.alternatives))
    assert offered == (before in FREE - {locks_the_second, locks_one_of_a_list})


def _row(values='{"id": 1, "n": 5}', names=("id",)):
    return MetRow('"t"', "t", tuple(f'"{name}"' for name in names), ('"id"', '"n"'), values, names)


def _held(tag, *accesses):
    held = HeldRows()
    held.sends(lambda: accesses, "…")
    held.answered("BEGIN")
    held.answered(tag)
    return held


def _access(lock=Lock.UPDATE, table="t", **key):
    return Access(Rows(table, tuple((column, frozenset(texts)) for column, texts in key.items())), lock)


@pytest.mark.parametrize(
    ("tag", "access", "row", "has"),
    [
        ("SELECT 1", _access(id={"int:1"}), _row(), True),
        ("UPDATE 12", _access(Lock.NO_KEY_UPDATE, id={"int:1"}), _row(), True),
        ("DELETE 1", _access(id={"int:1"}, n={"int:9"}), _row(), True),
        ("SELECT 0", _access(id={"int:1"}), _row(), False),
        ("INSERT 0 1", _access(id={"int:1"}), _row(), False),
        ("", _access(id={"int:1"}), _row(), False),
        ("SELECT 1", _access(Lock.SHARE, id={"int:1"}), _row(), False),
        ("SELECT 1", _access(id={"int:1", "int:2"}), _row(), False),
        ("SELECT 1", _access(id={"int:2"}), _row(), False),
        ("SELECT 1", _access(table="u", id={"int:1"}), _row(), False),
        ("SELECT 1", _access(), _row(), False),
        ("SELECT 1", _access(id={"int:1"}), _row(names=("id", "n")), False),
        ("SELECT 1", _access(id={"int:1"}, n={"int:5"}), _row(names=("id", "n")), True),
        ("SELECT 1", _access(id={"str:a:b"}), _row('{"id": "a:b"}'), True),
    ],
)
def test_a_row_is_held_by_its_whole_key(tag, access, row, has):
    """And by an answer that counts it."""
    held = _held(tag, access)
    assert held.has(row) == has
    held.forget()
    assert not held.has(row)


def test_what_is_not_understood_holds_nothing():
    """A statement without a footprint, and one that may have gone back to a savepoint."""
    held = HeldRows()
    held.sends(lambda: None, "SELECT f()")
    held.answered("SELECT 1")
    assert not held.has(_row())
    for sent in ("SELECT 1; rollback to a", "COMMIT; BEGIN"):
        held = _held("SELECT 1", _access(id={"int:1"}))
        held.sends(lambda: None, sent)
        assert not held.has(_row())
