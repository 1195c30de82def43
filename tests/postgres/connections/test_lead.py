"""What an actor opens leads to the lab's database, whatever it was told; what cannot be led is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import pytest
from helpers.kit import Bank, Base, Order, replays, told
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from lab import actor, invariant
from lab.errors import ScenarioError
from lab.postgres.server.embedded import embedded_server
from lab.schedulers import make_scheduler


class Elsewhere:
    """A server of the application's own with a database that no execution may touch."""

    def __init__(self, server) -> None:
        self.server = server
        self.host = str(server.folder / "s")
        self.plain = {"host": self.host, "user": "postgres", "database": "shop"}
        self.dsn = f"postgresql://postgres@/shop?host={self.host}"
        self.url = f"postgresql+asyncpg://postgres@/shop?host={self.host}"

    async def fill(self) -> None:
        admin = await asyncpg.connect(**{**self.plain, "database": "postgres"})
        await admin.execute("CREATE DATABASE shop")
        await admin.close()
        engine = create_async_engine(self.url)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.execute(text("INSERT INTO account SELECT n, 7000 + n FROM generate_series(1, 4) n"))
        await engine.dispose()

    async def contents(self) -> tuple[object, ...]:
        """Every row with its place and transaction, and what the server counted of writes."""
        connection = await asyncpg.connect(**self.plain)
        try:
            rows = await connection.fetch("SELECT ctid, xmin, xmax, * FROM account ORDER BY id")
            counted = await connection.fetchrow("SELECT n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables")
            tables = await connection.fetch("SELECT oid, relname, relfilenode FROM pg_class ORDER BY oid")
            return rows, counted, tables
        finally:
            await connection.close()


@pytest.fixture(scope="module")
async def elsewhere(anyio_backend):
    server = embedded_server()
    try:
        place = Elsewhere(server)
        await place.fill()
        yield place
    finally:
        server.close()


class Kept(Bank):
    """Two actors take one from account 1, each by reading it first."""

    @actor(names=("alice", "bob"))
    async def take(self) -> None:
        await self.work()

    async def work(self) -> None:
        raise NotImplementedError

    @invariant
    async def two_are_taken(self, session) -> None:
        assert await session.scalar(text("SELECT balance FROM account WHERE id = 1")) == 98


READ, WRITE = "SELECT balance FROM account WHERE id = 1", "UPDATE account SET balance = $1 WHERE id = 1"


async def _by_driver(connection) -> None:
    async with connection.transaction():
        balance = await connection.fetchval(READ)
        await connection.execute(WRITE, balance - 1)


async def _by_session(session) -> None:
    balance = await session.scalar(text(READ))
    await session.execute(text(WRITE.replace("$1", ":new")), {"new": balance - 1})
    await session.commit()


def _connects(place):
    class Connects(Kept):
        async def work(self) -> None:
            connection = await asyncpg.connect(**place.plain)
            await _by_driver(connection)
            await connection.close()

    return Connects()


def _connects_by_a_name_imported_long_ago(place, connect=asyncpg.connect):
    class Imported(Kept):
        async def work(self) -> None:
            connection = await connect(place.dsn, timeout=5)
            await _by_driver(connection)
            await connection.close()

    return Imported()


def _has_a_pool_of_its_own(place):
    class Pool(Kept):
        async def work(self) -> None:
            async with asyncpg.create_pool(place.dsn, min_size=2, max_size=3) as pool, pool.acquire() as connection:
                await _by_driver(connection)

    return Pool()


def _shares_a_pool_made_lazily(place):
    pools = []

    class Lazy(Kept):
        async def work(self) -> None:
            if not pools:
                pools.append(await asyncpg.create_pool(**place.plain, min_size=0, max_size=4))
            async with pools[0].acquire() as connection:
                await _by_driver(connection)

    return Lazy()


def _has_an_engine_made_at_import(place):
    engine = create_async_engine(place.url)

    class AtImport(Kept):
        async def work(self) -> None:
            async with AsyncSession(engine) as session:
                await _by_session(session)

    return AtImport()


def _makes_an_engine_each_time(place):
    class EachTime(Kept):
        async def work(self) -> None:
            engine = create_async_engine(place.url, poolclass=NullPool)
            async with async_sessionmaker(engine)() as session:
                await _by_session(session)
            await engine.dispose()

    return EachTime()


def _has_an_engine_with_options(place):
    engine = create_async_engine(place.url).execution_options(mine=1)

    class Options(Kept):
        async def work(self) -> None:
            async with AsyncSession(engine) as session:
                await _by_session(session)

    return Options()


def _has_an_engine_that_connects_in_its_own_way(place):
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda **_: asyncpg.connect(**place.plain))

    class OwnWay(Kept):
        async def work(self) -> None:
            async with AsyncSession(engine) as session:
                await _by_session(session)

    return OwnWay()


WAYS = (
    _connects,
    _connects_by_a_name_imported_long_ago,
    _has_a_pool_of_its_own,
    _shares_a_pool_made_lazily,
    _has_an_engine_made_at_import,
    _makes_an_engine_each_time,
    _has_an_engine_with_options,
    _has_an_engine_that_connects_in_its_own_way,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
async def test_the_applications_own_database_is_never_touched_and_the_race_is_found(way, explorer, elsewhere):
    """Eight ways to open a connection to another server: the statements are steps on the lab's."""
    before = await elsewhere.contents()
    scenario, scheduler = way(elsewhere), make_scheduler("random", 0)
    failed = None
    for number in range(20):
        record = await explorer.run(scenario, scheduler, execution=number)
        failed = failed or (record if record.failed else None)
    assert failed is not None
    assert {finding.name for finding in failed.findings} == {"two are taken"}, failed.findings
    assert f"alice {READ}" in told(failed.trace)
    assert await replays(explorer, failed, 5)
    assert await elsewhere.contents() == before


async def test_a_connection_that_was_open_before_is_refused_with_its_place(explorer, elsewhere):
    before = await elsewhere.contents()
    pool = await asyncpg.create_pool(**elsewhere.plain, min_size=1)

    class Before(Kept):
        async def work(self) -> None:
            await pool.execute("UPDATE account SET balance = 0")

    with pytest.raises(
        ScenarioError, match=r"alice uses a connection to postgresql://postgres@.*/shop that was opened"
    ):
        await explorer.run(Before(), Order())
    await pool.close()
    assert await elsewhere.contents() == before


@dataclass(frozen=True)
class Calls(Bank):
    """Its schema hook, its setup or its invariant calls what the application does by itself."""

    where: str = ""
    own: Callable[[str], Awaitable[None]] | None = None

    async def _in(self, place, statement) -> None:
        if self.where == place:
            await self.own(statement)

    async def schema(self, connection) -> None:
        await self._in("schema", "CREATE TABLE IF NOT EXISTS made (id int)")

    async def setup(self, session) -> None:
        await super().setup(session)
        await session.commit()
        await self._in("setup", "UPDATE account SET balance = 0")

    @actor(names=("alice", "bob"))
    async def look(self, session) -> int:
        return await session.scalar(text("SELECT sum(balance) FROM account"))

    @invariant
    async def asked(self) -> None:
        await self._in("invariant", "SELECT * FROM account")


@pytest.mark.parametrize("where", ["schema", "setup", "invariant"])
async def test_what_is_no_actor_s_does_not_reach_it_either(where, explorer, elsewhere):
    """A schema hook, a setup and an invariant that call the application's own functions meet the lab's tables."""
    before = await elsewhere.contents()
    engine = create_async_engine(elsewhere.url)
    met = []

    async def own(statement) -> None:
        async with engine.begin() as connection:
            await connection.execute(text(statement))
        driver = await asyncpg.connect(elsewhere.dsn)
        met.append(await driver.fetchval("SELECT current_database()"))
        await driver.close()

    scenario = Calls(where, own)
    for _ in range(2):
        record = await explorer.run(scenario, Order())
        assert not record.failed
    assert met
    assert all(each != "shop" for each in met)
    assert record.outcome.results["alice"].value == (0 if where == "setup" else 400)
    assert await elsewhere.contents() == before
    await engine.dispose()


async def test_a_setup_that_uses_an_open_connection_is_refused_by_name(explorer, elsewhere):
    connection = await asyncpg.connect(**elsewhere.plain)

    class Fills(Bank):
        async def setup(self, session) -> None:
            await connection.execute("DELETE FROM account")

        @actor(names=("alice", "bob"))
        async def work(self) -> None: ...

    with pytest.raises(ScenarioError, match=r"the setup of .*Fills uses a connection to postgresql://.*/shop"):
        await explorer.run(Fills(), Order())
    await connection.close()


async def test_a_refusal_is_not_swallowed_by_an_actor(explorer, elsewhere):
    connection = await asyncpg.connect(**elsewhere.plain)

    class Swallows(Kept):
        async def work(self) -> None:
            try:
                await connection.copy_from_query("SELECT 1", output="/dev/null")
            except Exception:  # noqa: BLE001 - as careless code does
                return

    with pytest.raises(ScenarioError, match="that was opened before the execution"):
        await explorer.run(Swallows(), Order())
    assert await connection.fetchval("SELECT 1") == 1, "it is as it was outside an execution"
    await connection.close()


async def test_an_engine_of_another_driver_is_refused_unless_it_is_meant(explorer, tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/cache")

    class Other(Bank):
        @actor(names=("alice", "bob"))
        async def cache(self) -> None:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))

    class Meant(Other):
        outside = ("sqlite",)

    with pytest.raises(ScenarioError, match=r'alice uses the engine sqlite:.*outside = \("sqlite",\)'):
        await explorer.run(Other(), Order())
    record = await explorer.run(Meant(), Order())
    assert not record.failed
    engine.dispose()


async def test_a_watched_engine_that_connects_in_its_own_way_is_refused_before_it_connects(explorer):
    opened = []

    async def mine(**_):
        opened.append(1)
        return await asyncpg.connect("postgresql://nobody@nowhere.invalid/none")

    class Watches(Bank):
        watch = (create_async_engine("postgresql+asyncpg://", async_creator=mine),)

        @actor(names=("alice", "bob"))
        async def work(self) -> None: ...

    with pytest.raises(ScenarioError, match="makes its connections by itself"):
        await explorer.run(Watches(), Order())
