"""What is known of locks without a question to the server is what the server would say."""

from __future__ import annotations

import pytest
from helpers.kit import Account, Bank, Order
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor
from lab.model.footprint import Access, Lock, Rows
from lab.postgres.locks.known import KnownWaits
from lab.postgres.locks.waits import PostgresLockWaits
from lab.postgres.statements.held import FOR_EACH, HeldRows
from lab.postgres.statements.met import MetRow

ROW = MetRow("t", "t", ('"id"',), ('"id"',), '{"id": 1}', ("id",))


def _access(*keys: int, lock: Lock = Lock.UPDATE, table: str = "t") -> Access:
    key = (("id", frozenset(f"int:{each}" for each in keys)),) if keys else ()
    return Access(Rows(table, key), lock, writes=lock > Lock.NONE)


@pytest.mark.parametrize(
    ("statements", "takes"),
    [
        ([], False),
        ([("SELECT 1", _access(1, lock=Lock.NONE))], False),
        ([("SELECT 1", _access(1))], True),
        ([("SELECT 1", _access(2))], False),
        ([("SELECT 1", _access(1, table="u"))], False),
        ([("SELECT 0", _access(1))], None),
        ([("SELECT 2", _access())], None),
        ([("SELECT 2", _access(1, 2))], None),
        ([("SELECT 1", None)], None),
        ([(FOR_EACH, _access(1))], None),
        ([("SELECT 1", _access(1, lock=Lock.NONE)), (FOR_EACH, _access(1))], True),
        ([("SELECT 1", _access(1, lock=Lock.KEY_SHARE))], None),
    ],
)
def test_a_transaction_is_known_to_have_locked_a_row_or_not_or_neither(statements, takes):
    """By what its statements were understood to lock, and how they were answered."""
    held = HeldRows()
    held.begin()
    for tag, access in statements:
        held.sends(lambda access=access: None if access is None else (access,), "a statement")
        held.answered(tag)
    assert held.takes(ROW) is takes
    held.forget()
    assert held.takes(ROW) is None, "it may have gone back to a savepoint"


CHANGE = update(Account).where(Account.id == 1).values(balance=1)


class Contended(Bank):
    """Both change a row."""

    @actor(names=("alice", "bob"))
    async def change(self, session: AsyncSession) -> None:
        await session.execute(CHANGE)
        await session.commit()


class Obscure(Bank):
    """The same, in a text that is not understood."""

    @actor(names=("alice", "bob"))
    async def change(self, session: AsyncSession) -> None:
        await session.execute(text("UPDATE account SET balance = 1 WHERE id = 1"))
        await session.commit()


@pytest.mark.parametrize(("scenario", "questions"), [(Contended(), 0), (Obscure(), 1)])
async def test_nobody_is_asked_for_the_holder_of_a_lock_that_is_known(explorer, monkeypatch, scenario, questions):
    """And what is known is what the server says."""
    asked, looked, ask, look = [], [], PostgresLockWaits.blockers, KnownWaits.blockers

    async def counted(self: PostgresLockWaits, pids: list[int]) -> object:
        asked.append(pids)
        return await ask(self, pids)

    async def compared(self: KnownWaits, pids: list[int]) -> object:
        found = await look(self, pids)
        looked.append(dict(found) == dict(await ask(self.waits, pids)))
        return found

    monkeypatch.setattr(PostgresLockWaits, "blockers", counted)
    monkeypatch.setattr(KnownWaits, "blockers", compared)
    record = await explorer.run(scenario, Order("alice bob alice bob bob"))
    assert [step.wait.holders for step in record.trace if step.wait] == [("alice",)]
    assert looked == [True, True], "as the wait began, and as it ended"
    assert len(asked) == questions
