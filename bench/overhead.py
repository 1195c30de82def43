"""What scheduling costs: an execution in the lab against the same actors without it, as a ratio of medians.

Two actors of five ORM statements each. In the lab they are interleaved by the `random` scheduler. Without the lab
the same coroutines run one after the other on a plain engine, on the same server, with the settings that keep plans
the same but none of the lab's lock control. Both sides restore the tables in the same way before, and read the rows
and check the invariant after. Both take turns within one run, since nothing else can be compared on a noisy machine.

A third table shows what a history costs: four transactions of ten statements each, recorded and not, taking turns, and
the check of the recorded history for anomalies (`judge`), as a share of the recorded execution.

And what a changed catalog costs: two actors that each make a table, or only ask for one, taking turns. After the first
the database is made again before the next execution.

The first row has the actors on rows of their own: what scheduling itself costs. In the second both want the same
rows, so that lock waits and their grants are part of the price; without the lab there is nothing to wait for. In the
third, again on rows of their own, each execution is another permutation of the steps, as the scheduler `dfs` goes
through them: what one costs as a multiple of the same statements through SQLAlchemy, one actor after the other.

    python bench/overhead.py
    python bench/overhead.py --pairs 1000 --json
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import asyncpg
from _common import Spread, show
from sqlalchemy import ForeignKey, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant
from lab.checkers.isolation.judge import judge
from lab.explore import Explorer
from lab.model.history import History
from lab.postgres.connections.settings import ACTOR_SETTINGS
from lab.postgres.server.cluster import Cluster
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.monitor import connect
from lab.postgres.server.server import Server
from lab.postgres.tables.reset import Snapshot, Tables
from lab.scenario.declare import actors_of
from lab.schedulers import make_scheduler

WARM_UP = 20
"""Pairs that are run before the first one counts: caches of SQLAlchemy and PostgreSQL fill."""
PERMUTATIONS = 400
"""Two actors of six steps have 924; those of the warm-up count as well."""
CHANGES = 50
"""Executions that change the catalog: enough for a median, since each costs as much as many others."""


class Base(DeclarativeBase):
    """Accounts and their entries."""


class Account(Base):
    """An account and its balance."""

    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Entry(Base):
    """One booking on an account."""

    __tablename__ = "entry"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[int]


@dataclass(frozen=True)
class Bookings(Scenario):
    """Each actor books an amount: five ORM statements and a COMMIT. `same_rows` makes them contend."""

    same_rows: bool = False
    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Four accounts."""
        session.add_all(Account(id=number, balance=100) for number in (1, 2, 3, 4))

    @actor
    async def alice(self, session: AsyncSession) -> int:
        """Move from account 1 to account 2."""
        return await self._book(session, 1, 2)

    @actor
    async def bob(self, session: AsyncSession) -> int:
        """Move between its own accounts, or between those of the other actor."""
        return await (self._book(session, 1, 2) if self.same_rows else self._book(session, 3, 4))

    async def _book(self, session: AsyncSession, source: int, target: int) -> int:
        async with session.begin():
            payer = await session.get_one(Account, source, with_for_update=True)
            payee = await session.get_one(Account, target, with_for_update=True)
            entries = (await session.scalars(select(Entry).where(Entry.account_id == source))).all()
            session.add(Entry(account_id=source, amount=-10))
            await session.flush()
            payer.balance -= 10
            payee.balance += 10
        return len(entries)

    @invariant
    async def money_is_conserved(self, session: AsyncSession) -> None:
        """No money appears or disappears."""
        assert await session.scalar(select(func.sum(Account.balance))) == 400


class Plain:
    """The same work without the lab: a plain engine, on a database that the lab does not watch."""

    def __init__(self, engine: AsyncEngine, monitor: asyncpg.Connection, tables: Tables, snapshot: Snapshot) -> None:
        self._engine, self._monitor, self._tables, self._snapshot = engine, monitor, tables, snapshot

    @classmethod
    async def open(cls, cluster: Cluster, scenario: Scenario) -> Plain:
        """Make the database, the tables and their rows."""
        name = await cluster.create_database()
        address = {**cluster.server.connect, "database": name, "server_settings": ACTOR_SETTINGS}
        engine = create_async_engine("postgresql+asyncpg://", connect_args=address)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        monitor = await connect(cluster.server, database=name)
        tables = Tables(monitor, privileged=cluster.abilities.superuser)
        await tables.learn()
        async with AsyncSession(engine) as session, session.begin():
            await scenario.setup(session)
        return cls(engine, monitor, tables, await tables.capture())

    async def run(self, scenario: Bookings) -> None:
        """One actor after the other, between the same reset and the same final check as in the lab."""
        await self._tables.restore(self._snapshot)
        for declaration in actors_of(type(scenario)):
            async with AsyncSession(self._engine) as session:
                await getattr(scenario, declaration.attribute)(session)
        await self._tables.rows()
        async with AsyncSession(self._engine) as session:
            await scenario.money_is_conserved(session)

    async def close(self) -> None:
        """Disconnect."""
        await self._engine.dispose()
        await self._monitor.close()


async def compare(
    server: Server, scenario: Bookings, pairs: int, seed: int, name: str
) -> tuple[list[float], list[float]]:
    """Milliseconds of each execution under this scheduler, in the lab and without it, taking turns."""
    explorer = Explorer(server)
    plain = await Plain.open(await explorer.open(), scenario)
    scheduler = make_scheduler(name, seed)

    async def in_the_lab(number: int) -> None:
        record = await explorer.run(scenario, scheduler, execution=number)
        assert not record.failed, record.findings

    with_lab, without = [], []
    warm = min(WARM_UP, pairs)
    for number in range(-warm, pairs):
        taken = (
            await _milliseconds(partial(in_the_lab, warm + number)),
            await _milliseconds(lambda: plain.run(scenario)),
        )
        if number >= 0:
            with_lab.append(taken[0])
            without.append(taken[1])
    await plain.close()
    await explorer.aclose()
    return with_lab, without


@dataclass(frozen=True)
class TenStatements(Scenario):
    """Four transactions of ten ORM statements each: rows read by key and by a condition, sums, updates, an insert."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Eight accounts."""
        session.add_all(Account(id=number, balance=100) for number in range(1, 9))

    @actor(names=("ann", "ben", "cat", "dan"))
    async def books(self, session: AsyncSession, name: str) -> int | None:
        """Look at four accounts, at all that hold much and at the sum; change two and write one down."""
        own = 2 * ("ann", "ben", "cat", "dan").index(name) + 1
        async with session.begin():
            for number in (own, own + 1, own % 8 + 1, 9 - own):  # 1 to 4; an account that was seen before is kept
                await session.get(Account, number, populate_existing=True)
            rich = (await session.scalars(select(Account).where(Account.balance > 100))).all()
            mine = await session.get_one(Account, own)
            other = await session.get_one(Account, own + 1)
            mine.balance -= 10
            await session.flush()
            other.balance += 10 + len(rich)
            await session.flush()
            session.add(Entry(account_id=own, amount=-10))
            await session.flush()
            await session.scalars(select(Entry).where(Entry.account_id == own))
            return await session.scalar(select(func.sum(Account.balance)))


async def record(server: Server, pairs: int, seed: int) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of each execution without and with its history, taking turns, and of the check of that history."""
    explorer = Explorer(server)
    scenario, scheduler = TenStatements(), make_scheduler("random", seed)
    without, recorded, judged = [], [], []
    for number in range(-min(WARM_UP, pairs), pairs):
        histories = []

        async def execute(number: int, *, recorded: bool, histories: list[History] = histories) -> None:
            record = await explorer.run(scenario, scheduler, execution=number, recorded=recorded)
            histories += [record.history] if record.history is not None else []

        taken = [await _milliseconds(partial(execute, number, recorded=each)) for each in (False, True)]
        (history,) = histories
        assert sum(len(each.operations) > 0 for each in history.transactions) == 4
        started = perf_counter()
        judge(history)
        if number >= 0:
            judged.append(1000 * (perf_counter() - started))
            without.append(taken[0])
            recorded.append(taken[1])
    await explorer.aclose()
    return without, recorded, judged


@dataclass(frozen=True)
class Starts(Scenario):
    """Each actor makes a table of its own, or only looks whether it is there."""

    makes: bool = True
    metadata = Base.metadata

    @actor(names=("ann", "ben"))
    async def start(self, session: AsyncSession, name: str) -> None:
        """One statement and a COMMIT."""
        made = f"CREATE TABLE by_{name} (id int)" if self.makes else f"SELECT to_regclass('by_{name}')"
        await session.execute(text(made))
        await session.commit()


async def change(server: Server, pairs: int, seed: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each execution, from the restoring before it, after one that left and one that changed tables.

    Two explorers, so that neither meets what the other's executions did.
    """
    explorers, scheduler = (Explorer(server), Explorer(server)), make_scheduler("random", seed)
    unchanged, changed = [], []
    for number in range(-2, pairs):
        for makes, taken in ((False, unchanged), (True, changed)):
            run = partial(explorers[makes].run, Starts(makes), scheduler, execution=max(number, 0))
            milliseconds = await _milliseconds(run)
            if number >= 0:
                taken.append(milliseconds)
    for explorer in explorers:
        await explorer.aclose()
    return unchanged, changed


async def _milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    started = perf_counter()
    await work()
    return 1000 * (perf_counter() - started)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=500, help="executions with and without the lab, for each row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, object] = {"pairs": options.pairs, "seed": options.seed}
    rows = []
    with embedded_server() as server:
        for name, suffix, scenario, scheduler in (
            ("rows of their own", "", Bookings(), "random"),
            ("the same rows", "_contended", Bookings(same_rows=True), "random"),
            ("each permutation", "_per_permutation", Bookings(), "dfs"),
        ):
            pairs = options.pairs if scheduler == "random" else min(options.pairs, PERMUTATIONS)
            figures = asyncio.run(compare(server, scenario, pairs, options.seed, scheduler))
            with_lab, without = map(Spread.of, figures)
            ratio = with_lab.median / without.median
            result |= {
                f"ratio{suffix}": round(ratio, 3),
                f"lab_ms{suffix}": round(with_lab.median, 3),
                f"plain_ms{suffix}": round(without.median, 3),
            }
            rows.append((name, with_lab, without, f"{ratio:.2f}"))
        without, recorded, judged = map(Spread.of, asyncio.run(record(server, options.pairs, options.seed)))
        unchanged, changed = map(Spread.of, asyncio.run(change(server, min(options.pairs, CHANGES), options.seed)))
    result |= {
        "changed_ms": round(changed.median, 3),
        "unchanged_ms": round(unchanged.median, 3),
        "changed_extra_ms": round(changed.median - unchanged.median, 3),
        "recorded_ratio": round(recorded.median / without.median, 3),
        "recorded_ms": round(recorded.median, 3),
        "unrecorded_ms": round(without.median, 3),
        "judge_ms": round(judged.median, 3),
        "judge_share": round(judged.median / recorded.median, 4),
    }
    columns = ("two actors on", "in the lab, ms (quartiles)", "without, ms [quartiles]", "ratio of medians")
    show(f"{options.pairs} pairs, seed {options.seed}", columns, rows, result, as_json=options.json)
    if not options.json:
        share = f"{judged.median / recorded.median:.1%}"
        columns = ("four transactions of ten statements", "ms [quartiles]", "share")
        show(
            "histories",
            columns,
            [
                ("not recorded", without, ""),
                ("recorded", recorded, f"{recorded.median / without.median:.2f} times"),
                ("the check alone", judged, share),
            ],
            result,
            as_json=False,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
