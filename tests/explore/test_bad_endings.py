"""However badly an actor ends, its execution is one like any other: it is judged, reported and replayed."""

from __future__ import annotations

import pytest
from helpers.kit import Account, Bank, Order, add, replays
from sqlalchemy import text

from lab import actor
from lab.report.failure import execution_report


class Rude(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise SystemExit("no text")


class Closed(Exception):
    """Nothing of it can be had."""

    def __getattribute__(self, name: str) -> object:
        raise Rude


async def _raise(error):
    raise error


async def _expired(session) -> int:
    account = await session.get(Account, 1)
    await session.commit()
    return account.balance


async def _driver(session):
    return (await (await session.connection()).get_raw_connection()).driver_connection


async def _in_the_middle_of_a_copy(session) -> None:
    def rows():
        yield 9, 9
        raise Rude

    await (await _driver(session)).copy_records_to_table("account", records=rows())


async def _while_a_value_is_read(session) -> None:
    def decode(_: str) -> None:
        raise Rude

    await (await _driver(session)).set_type_codec("int4", schema="pg_catalog", encoder=str, decoder=decode)
    await session.execute(text("SELECT 1"))


async def _without_its_connection(session) -> None:
    (await _driver(session)).terminate()
    await session.execute(add(2))


ENDS = {
    "Rude": lambda session: _raise(Rude()),
    "Closed": lambda session: _raise(Closed()),
    "ExceptionGroup": lambda session: _raise(ExceptionGroup("several", [Rude(), Closed()])),
    "GeneratorExit": lambda session: _raise(GeneratorExit()),
    "MissingGreenlet": _expired,
    "Rude in a COPY": _in_the_middle_of_a_copy,
    "Rude in a codec": _while_a_value_is_read,
    "InterfaceError": _without_its_connection,
    "DataError": lambda session: session.execute(text("SELECT CAST(:x AS int)"), {"x": object()}),
}


@pytest.mark.parametrize("name", ENDS)
async def test_an_actor_that_ends_badly_is_judged_and_replays(explorer, name):
    class Ends(Bank):
        @actor(names=("alice", "bob"))
        async def work(self, session) -> None:
            await session.execute(add(3))
            await session.commit()
            await ENDS[name](session)

    record = await explorer.run(Ends(), Order("alice bob"))
    assert [finding.checker for finding in record.findings] == ["result", "result"]
    assert record.outcome.results["alice"].text.startswith(name.split()[0])
    assert "UNEXPECTED ERROR" in execution_report(record)
    assert await replays(explorer, record, 2)
