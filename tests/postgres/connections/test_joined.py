"""BEGIN goes out with what comes after it, and nobody notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from helpers.kit import Account, Bank, Order
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from lab import actor
from lab.postgres.connections.joined import sends_later


def written(transport: Any) -> list[bytes]:
    """What is written on a transport from now on."""
    found: list[bytes] = []
    real = transport.write

    def write(data: Any) -> None:
        found.append(bytes(data))
        real(data)

    transport.write = write
    return found


class Watched:
    """A connection of the lab's, with what it writes."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.protocol = connection, connection._protocol
        self.transport = connection._transport

    async def begin(self, query: str = "BEGIN;", **how: str) -> str:
        return await sends_later(self.protocol, self.transport, query, **how)


@pytest.fixture
async def watched(server):
    connection = await asyncpg.connect(**server.connect)
    yield Watched(connection)
    await connection.close()


@pytest.mark.parametrize(
    "then",
    [
        lambda connection: connection.fetchval("SELECT 1"),
        lambda connection: connection.fetchval("SELECT $1::int", 1),
        lambda connection: connection.execute("SELECT 1"),
        lambda connection: connection.executemany("SELECT $1::int", [(1,), (2,)]),
        lambda connection: connection.execute("ROLLBACK"),
    ],
    ids=["prepared", "with parameters", "simple", "for each", "rolled back"],
)
@pytest.mark.parametrize("script", ["", "BEGIN;DISCARD SEQUENCES;COMMIT;BEGIN;"])
async def test_begin_is_answered_at_once_and_sent_with_what_comes_next(watched, then: Callable[[Any], Any], script):
    """Whatever that is; then the session is where it would be had BEGIN gone out by itself."""
    how = {"script": script} if script else {}
    assert await watched.begin(**how) == "BEGIN"
    assert watched.connection.is_in_transaction()
    await then(watched.connection)
    assert watched.transport.get_protocol() is watched.protocol
    if watched.connection.is_in_transaction():
        assert await watched.connection.fetchval("SELECT now() = transaction_timestamp()")
        await watched.connection.execute("SAVEPOINT only_in_a_transaction")
        await watched.connection.execute("ROLLBACK")
    assert await watched.connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'lab%'") == 0


async def test_nothing_is_written_for_a_begin_alone(watched):
    sent = written(watched.transport)
    await watched.begin("BEGIN ISOLATION LEVEL SERIALIZABLE;")
    assert not sent
    del watched.transport.write  # the BEGIN that waits there is lost with it
    await watched.connection.reset()


async def test_a_begin_that_is_refused_fails_what_comes_next(watched):
    """And that is not executed, outside the transaction that it was meant for."""
    await watched.begin("BEGIN ISOLATION LEVEL NONE;")
    with pytest.raises(asyncpg.PostgresSyntaxError):
        await watched.connection.fetchval("SELECT set_config('lab.seen', 'yes', false)")
    assert await watched.connection.fetchval("SELECT current_setting('lab.seen', true)") in (None, "")
    assert not watched.connection.is_in_transaction()


class One(Bank):
    """One transaction."""

    @actor
    async def alice(self, session: AsyncSession) -> list[str]:
        await session.scalars(select(Account))
        driver = (await (await session.connection()).get_raw_connection()).driver_connection
        answer = [await driver.fetchval("SELECT state FROM pg_stat_activity WHERE pid = pg_backend_pid()")]
        await session.commit()
        return answer

    @actor
    async def bob(self, session: AsyncSession) -> None: ...


async def test_an_actor_has_its_transaction(explorer):
    record = await explorer.run(One(), Order("alice alice alice"))
    assert record.outcome.results["alice"].value == ["active"]
    assert [str(step.action.kind.name) for step in record.trace] == ["STATEMENT", "STATEMENT", "COMMIT"]
