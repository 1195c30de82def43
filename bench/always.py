"""What an invariant that is to hold always costs: the same executions with `@always` and with `@invariant`, as a ratio.

The actors, the statements and the schedules are those of `overhead.py`: two actors of five ORM statements each, on rows
of their own. With `@always` the invariant is checked after each of the two COMMITs as well, in a snapshot of its own.
Both take turns within one run, since nothing else can be compared on a noisy machine. In the second row each actor
commits ten times, after one statement each time: there a look weighs most.

    python bench/always.py
    python bench/always.py --pairs 500 --json
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass
from time import perf_counter

from _common import Spread, show
from overhead import Account, Base, Bookings
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from lab import Scenario, actor, always, invariant
from lab.explore import Explorer
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.server import Server
from lab.schedulers import make_scheduler

WARM_UP = 20
"""Pairs that are run before the first one counts."""
TRANSACTIONS = 10


@dataclass(frozen=True)
class AlwaysBooked(Bookings):
    """The same bookings, of which the invariant is to hold always."""

    @always
    async def money_is_conserved(self, session: AsyncSession) -> None:
        """No money appears or disappears."""
        assert await session.scalar(select(func.sum(Account.balance))) == 400


@dataclass(frozen=True)
class Small(Scenario):
    """Each actor commits ten times, after one statement each time."""

    metadata = Base.metadata

    async def setup(self, session: AsyncSession) -> None:
        """Two accounts."""
        session.add_all(Account(id=number, balance=100) for number in (1, 2))

    @actor(names=("alice", "bob"))
    async def books(self, session: AsyncSession, name: str) -> None:
        """Count up an account of its own."""
        own = 1 if name == "alice" else 2
        for _ in range(TRANSACTIONS):
            await session.execute(update(Account).where(Account.id == own).values(balance=Account.balance + 1))
            await session.commit()

    @invariant
    async def nothing_is_lost(self, session: AsyncSession) -> None:
        """It is never less."""
        total = await session.scalar(select(func.sum(Account.balance)))
        assert total is not None
        assert total >= 200


@dataclass(frozen=True)
class SmallAlways(Small):
    """The same, looked at after each COMMIT."""

    @always
    async def nothing_is_lost(self, session: AsyncSession) -> None:
        """It is never less."""
        total = await session.scalar(select(func.sum(Account.balance)))
        assert total is not None
        assert total >= 200


async def compare(
    server: Server, without: Scenario, with_it: Scenario, pairs: int, seed: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of each execution without and with looks in between, taking turns."""
    explorer = Explorer(server)
    figures: tuple[list[float], list[float]] = ([], [])
    schedulers = make_scheduler("random", seed), make_scheduler("random", seed)
    warm = min(WARM_UP, pairs)
    for number in range(warm + pairs):
        for scenario, scheduler, taken in zip((without, with_it), schedulers, figures, strict=True):
            started = perf_counter()
            record = await explorer.run(scenario, scheduler, execution=number)
            if number >= warm:
                taken.append(1000 * (perf_counter() - started))
            assert not record.failed, record.findings
    await explorer.aclose()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=500, help="executions with and without, for each row")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, object] = {"pairs": options.pairs, "seed": options.seed}
    rows = []
    with embedded_server() as server:
        for name, suffix, without, with_it, commits in (
            ("two transactions of five statements", "", Bookings(), AlwaysBooked(), 2),
            ("twenty of one statement", "_small", Small(), SmallAlways(), 2 * TRANSACTIONS),
        ):
            figures = asyncio.run(compare(server, without, with_it, options.pairs, options.seed))
            plain, looked = map(Spread.of, figures)
            each = (looked.median - plain.median) / commits
            result |= {
                f"ratio{suffix}": round(looked.median / plain.median, 3),
                f"always_ms{suffix}": round(looked.median, 3),
                f"invariant_ms{suffix}": round(plain.median, 3),
                f"look_ms{suffix}": round(each, 3),
            }
            rows.append((name, looked, plain, f"{looked.median / plain.median:.2f}", f"{each:.2f}"))
    columns = ("two actors", "@always, ms [quartiles]", "@invariant, ms [quartiles]", "ratio of medians", "ms a COMMIT")
    show(f"{options.pairs} pairs, seed {options.seed}", columns, rows, result, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
