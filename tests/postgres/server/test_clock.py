"""Where the extra is installed, the embedded server's clock makes the leaps of the actors' clock."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from helpers.kit import Bank, Order, lock, replays, told
from helpers.lab_program import temporary_folder
from sqlalchemy import Column, DateTime, Integer, MetaData, Table, insert, text
from sqlalchemy.exc import DBAPIError

from lab import Scenario, actor
from lab.explore import Explorer
from lab.explore.ending import CLOCKS_DIFFER
from lab.model.outcome import Mask, ResultKind
from lab.model.server_time import ServerTime
from lab.model.virtual_time import VirtualTime
from lab.postgres.server import clock, embedded
from lab.postgres.server.clock import SWITCH, clock_library, installed_library
from lab.postgres.server.embedded import embedded_server, joined_server, shared_server
from lab.postgres.server.install import Account
from lab.postgres.server.place import Place
from lab.schedulers import make_scheduler

METADATA = MetaData()
LEASE = Table(
    "lease",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("until", DateTime(timezone=True), server_default=text("now() + interval '30 s'")),
)
EXPIRED = text("SELECT until < now() FROM lease WHERE id = 1")
SECONDS = text("SELECT extract(epoch FROM clock_timestamp())::float")


@pytest.fixture(autouse=True)
def _needs_a_clock_that_can_be_moved(server):
    if server.clock is None:
        pytest.skip("the library of the extra `clock` cannot be loaded on this machine")


@dataclass(frozen=True)
class Sleeps(Scenario):
    """A lease of 30 s, which the setup stores and nobody prolongs."""

    seconds: float = 60
    metadata = METADATA

    async def setup(self, session) -> None:
        await session.execute(insert(LEASE).values(id=1))

    @actor(names=("alice", "bob"))
    async def look(self, session) -> Any:
        before = await session.scalar(EXPIRED)
        await session.commit()
        await asyncio.sleep(self.seconds)
        return before, await session.scalar(EXPIRED)


async def test_a_lease_that_the_server_stored_runs_out_while_its_owner_sleeps(explorer):
    """And in the next execution it is fresh again, in every replay."""
    record = await explorer.run(Sleeps(), make_scheduler("random", 1))
    assert record.outcome.results["alice"].value == (False, True)
    assert record.outcome.results["bob"].value == (False, True)
    assert CLOCKS_DIFFER not in record.notes
    assert await replays(explorer, record, 20)


async def test_both_clocks_agree_within_a_second_after_a_sleep_of_an_hour(server, anyio_backend):
    """Whenever the explorer was made, and in each execution anew: here as if that were yesterday."""

    class Compares(Sleeps):
        @actor(names=("alice", "bob"))
        async def look(self, session) -> Any:
            begun = await session.scalar(SECONDS) - datetime.now(UTC).timestamp(), time.time()
            await asyncio.sleep(3600)
            return *begun, await session.scalar(SECONDS) - time.time()

    explorer = Explorer(server)
    yesterday = int(time.time()) - 86_400
    explorer._clock.time = VirtualTime(yesterday)
    for _ in range(2):
        record = await explorer.run(Compares(), Order("alice bob alice bob"))
        for name in ("alice", "bob"):
            before, moment, after = record.outcome.results[name].value
            assert 0 < before < 1
            assert 0 < after < 1
            assert int(moment) == yesterday
    await explorer.aclose()
    connection = await asyncpg.connect(**server.connect)
    assert abs(await connection.fetchval(str(SECONDS)) - time.time()) < 1, "the machine's time between executions"
    await connection.close()


async def test_what_a_later_statement_stores_reads_later(explorer):
    """The server's clock does not go back within an execution, and no setup is later than its actors."""

    class Reads(Sleeps):
        @actor(names=("alice", "bob"))
        async def look(self, session) -> Any:
            seen = [await session.scalar(text("SELECT extract(epoch FROM until)::float - 30 FROM lease"))]
            for seconds in (0, 0.001, 0.02, 2, 0.5):
                await asyncio.sleep(seconds)
                seen.append(await session.scalar(SECONDS))
            return seen

    for _ in range(3):
        record = await explorer.run(Reads(), make_scheduler("serial", 0))
        for name in ("alice", "bob"):
            seen = record.outcome.results[name].value
            assert seen == sorted(seen)


async def test_what_a_schema_hook_stores_is_older_than_the_setup(explorer):
    """Migrations take seconds, and would put the server's clock ahead of the client's by as much."""

    class Migrated(Sleeps):
        @classmethod
        async def schema(cls, connection) -> None:
            await connection.execute(text("CREATE TABLE version (at timestamptz DEFAULT now())"))
            await connection.execute(text("INSERT INTO version DEFAULT VALUES"))
            await connection.execute(text("SELECT pg_sleep(1)"))

        @actor(names=("alice", "bob"))
        async def look(self, session) -> Any:
            old = await session.scalar(text("SELECT now() - at BETWEEN '59 min' AND '61 min' FROM version"))
            return old, await session.scalar(SECONDS) - time.time() < 1

    for _ in range(2):
        record = await explorer.run(Migrated(), make_scheduler("serial", 0))
        assert record.outcome.results["alice"].value == (True, True)


async def test_values_of_a_clock_that_leapt_are_masked_and_no_others(explorer):
    """Every moment that it showed is a clock value; what lies between was shown by nobody."""
    real = iter([1000, 1000, 1000, 1005, 1005, 1009, 1009, 1009, 1009, 1009, 1009])
    shown = ServerTime(lambda: next(real), ahead=50)
    assert shown.showed(1050)
    assert not shown.showed(1051)
    shown.move(3600)
    assert not shown.showed(3000)
    assert shown.showed(1055)
    assert shown.showed(4655)
    assert shown.showed(4659)
    assert not shown.showed(4660)
    assert not shown.showed(1049)
    moment = datetime.fromtimestamp(time.time() + 7200, UTC).isoformat()
    machine = ServerTime(lambda: time.time_ns() // 1000, ahead=0)
    assert Mask(machine)(moment) == moment
    machine.move(7_200_000_000 + 10_000_000)
    machine.move(0)
    later = datetime.fromtimestamp(time.time() + 7209, UTC).isoformat()
    assert Mask(machine)(later) == later
    assert Mask(machine)(datetime.fromtimestamp(time.time() + 7210, UTC).isoformat()) == "<now>"


class Times(Bank):
    """Bob waits for alice's lock, with a timeout as long as alice slept."""

    @actor
    async def alice(self, session) -> None:
        await session.execute(lock(1))

    @actor
    async def bob(self, session) -> float:
        await session.execute(text("SET statement_timeout = '20s'"))
        await session.execute(text("SELECT 1"))
        await asyncio.sleep(20)
        await session.execute(lock(1))
        begun = time.perf_counter()
        await session.execute(text("SELECT pg_sleep(0.05)"))
        slept = time.perf_counter() - begun
        await session.execute(text("SET statement_timeout = '100ms'"))
        with pytest.raises(DBAPIError, match="statement timeout"):
            await session.execute(text("SELECT pg_sleep(10)"))
        return slept


async def test_the_servers_own_timers_come_after_a_leap(explorer):
    """A lock wait is reported although a timeout as long as the leap is pending; `pg_sleep` takes real time."""
    record = await explorer.run(Times(), Order("bob bob alice bob bob alice bob bob"))
    waits = [line for line in told(record.trace) if line.endswith(" (B)")]
    assert len(waits) == 1, told(record.trace)
    assert record.outcome.results["bob"].kind is ResultKind.RETURNED, record.outcome.results["bob"]
    assert 0.05 <= record.outcome.results["bob"].value < 5


async def test_a_deadlock_is_found_after_a_leap(explorer):
    """The one who closes the cycle is its victim, as without the extra."""

    class Opposite(Bank):
        @actor
        async def alice(self, session) -> None:
            await session.execute(lock(1))
            await asyncio.sleep(3600)
            await session.execute(lock(2))

        @actor
        async def bob(self, session) -> None:
            await session.execute(lock(2))
            await asyncio.sleep(7200)
            await session.execute(lock(1))

    record = await explorer.run(Opposite(), Order("alice bob alice bob alice bob"))
    assert record.outcome.results["bob"].sqlstate == "40P01", told(record.trace)
    assert record.outcome.results["alice"].returned


async def test_without_it_the_report_says_that_the_clocks_differ(monkeypatch, anyio_backend):
    """The clock of such a server is the machine's, whatever the actors do."""
    monkeypatch.setenv(SWITCH, "own")
    with embedded_server() as server:
        assert server.clock is None
        explorer = Explorer(server)
        record = await explorer.run(Sleeps(), make_scheduler("serial", 0))
        assert record.outcome.results["alice"].value == (False, False)
        assert CLOCKS_DIFFER in record.notes
        await explorer.aclose()


def test_a_server_whose_clock_is_moved_serves_one_process(server, tmp_path):
    """Others start their own; what is shared keeps the machine's time."""
    assert Place().of(server) == Place()
    with joined_server(server.version, server.folder, server.pid) as joined:
        assert joined.clock is None
    with shared_server(tmp_path) as shared:
        assert shared.clock is None
        assert Place().of(shared).folder == str(shared.folder)


async def test_a_library_that_cannot_be_loaded_changes_nothing(monkeypatch, tmp_path):
    """As that of another machine's architecture: the server runs, and its clock is known to be its own."""
    (library := tmp_path / "lib.so").write_text("nothing that a loader knows")
    monkeypatch.setattr(embedded, "clock_library", lambda account: library)
    with embedded_server() as server:
        assert server.clock is None
        connection = await asyncpg.connect(**server.connect)
        assert abs(await connection.fetchval(str(SECONDS)) - time.time()) < 60
        await connection.close()


def test_a_server_that_does_not_start_with_the_library_is_started_without(monkeypatch):
    """Here because the loader then finds a file that is no C library."""
    with temporary_folder() as folder:
        (folder / "libm.so.6").write_text("nothing that a loader knows")
        monkeypatch.setattr(clock.MovedClock, "environment", {"LD_LIBRARY_PATH": str(folder)})
        with embedded_server() as server:
            assert server.clock is None
            assert "%n" not in (server.folder / "data" / "postmaster.opts").read_text()


def test_a_library_that_the_servers_account_cannot_read_is_copied(monkeypatch, tmp_path):
    """As from a virtual environment in root's home, or one that was made with a strict umask."""
    (home := tmp_path / "home").mkdir(mode=0o700)
    library = home / "libfaketime.so.1"
    library.write_bytes(b"a library")
    library.chmod(0o600)
    (cache := tmp_path / "cache").mkdir()
    monkeypatch.setattr(clock, "installed_library", lambda: library)
    monkeypatch.setattr(clock, "cache_folder", lambda: cache)
    found = clock_library(Account(65534, 65534))
    assert found is not None
    assert found.parent.parent == cache
    assert found.read_bytes() == b"a library"
    assert found.stat().st_mode & 0o777 == 0o644
    assert clock_library(Account()) == library


def test_the_library_lies_where_the_lab_looks_for_it():
    """The wheel does not document that; the upper bound in pyproject.toml keeps others away."""
    library = installed_library()
    assert library is not None
    assert library.is_absolute()
    assert library.read_bytes().startswith(b"\x7fELF")
