"""How many executions a second there are: by workers, by actors and by statements, and how their time grows.

Workers: `lab hunt` of a right scenario with one seed and 1, 2 and 4 workers, taking turns; the results must be equal.
Actors and statements: executions of a scenario made for this, of 2 to 6 actors with five statements, and of two actors
with 2 to 40, taking turns. Each round gives a straight line through the logarithms of size and milliseconds; its slope
is the exponent of the growth. What is printed is the mean over the rounds and its 95 % interval.

    python bench/throughput.py
    python bench/throughput.py --rounds 5 --executions 100 --hunts 1 --json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from _common import Spread, show
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lab import Scenario, actor, invariant
from lab.explore import Explorer
from lab.postgres.server.embedded import embedded_server
from lab.schedulers import make_scheduler

TARGET = "scenarios.transfer:Transfer"
SCHEDULERS = "random", "dpor", "portfolio"
WORKERS = 1, 2, 4
ACTORS = 2, 3, 4, 5, 6
STATEMENTS = 2, 5, 10, 20, 40
FEW, TWO = 5, 2
"""Statements of an actor where actors are counted, and actors where statements are."""
WARM_UP = 3
EQUAL = ("verdict", "outcomes", "distinct_traces", "executions")
"""What of a hunt must not depend on the number of workers."""


class Base(DeclarativeBase):
    """The one table."""


class Row(Base):
    """A row for each actor."""

    __tablename__ = "row"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


def program(actors: int, statements: int) -> Scenario:
    """So many actors, each of which updates its own row so often and commits once."""
    names = tuple(f"actor{number}" for number in range(actors))

    @dataclass(frozen=True)
    class Program(Scenario):
        """Actors that have nothing to do with each other."""

        equivalent = None
        metadata = Base.metadata

        async def setup(self, session: AsyncSession) -> None:
            session.add_all(Row(id=number, value=0) for number in range(actors))

        @actor(names=names)
        async def counts(self, session: AsyncSession, name: str) -> None:
            own = update(Row).where(Row.id == names.index(name)).values(value=Row.value + 1)
            for _ in range(statements):
                await session.execute(own)
            await session.commit()

        @invariant
        async def all_are_counted(self, session: AsyncSession) -> None:
            assert await session.scalar(select(func.sum(Row.value))) == actors * statements

    return Program()


async def timed(explorer: Explorer, programs: Mapping[int, Scenario], rounds: int) -> dict[int, list[float]]:
    """Milliseconds of the executions of each program, which take turns; the first rounds do not count."""
    scheduler = make_scheduler("random", 1)
    found: dict[int, list[float]] = {size: [] for size in programs}
    for number in range(rounds + WARM_UP):
        for size, scenario in programs.items():
            started = perf_counter()
            record = await explorer.run(scenario, scheduler, execution=number)
            found[size].append(1000 * (perf_counter() - started))
            assert not record.failed, record.findings
    return {size: times[WARM_UP:] for size, times in found.items()}


def exponent(times: Mapping[int, Sequence[float]]) -> tuple[float, float, float]:
    """The exponent by which times grow with the size, and its 95 % interval over the rounds. At least one round."""
    sizes = [math.log(size) for size in times]
    slopes = [
        statistics.linear_regression(sizes, [math.log(each) for each in round_]).slope
        for round_ in zip(*times.values(), strict=True)
    ]
    middle = statistics.fmean(slopes)
    if len(slopes) == 1:
        return middle, -math.inf, math.inf
    error = statistics.stdev(slopes) / math.sqrt(len(slopes)) * statistics.NormalDist().inv_cdf(0.975)
    return middle, middle - error, middle + error


def hunted(scheduler: str, workers: int, executions: int) -> dict[str, Any]:
    """A hunt of the command line: what `--json` says; where it ends with an error, that is under `error`."""
    program = Path(sys.executable).with_name("lab")
    options = ["--scheduler", scheduler, "--executions", str(executions), "--workers", str(workers), "--json"]
    done = subprocess.run([program, "hunt", TARGET, *options], capture_output=True, text=True, check=False)
    return json.loads(done.stdout)


def by_workers(executions: int, hunts: int) -> list[dict[str, Any]]:
    """For each scheduler and number of workers: executions a second, how many times those of one, and why not."""
    rows: list[dict[str, Any]] = []
    for scheduler in SCHEDULERS:
        rounds = [{workers: hunted(scheduler, workers, executions) for workers in WORKERS} for _ in range(hunts)]
        for workers in WORKERS:
            done = [(each[workers], each[WORKERS[0]]) for each in rounds]
            error = next((each["error"] for pair in done for each in pair if "error" in each), "")
            row = {"scheduler": scheduler, "workers": workers, "error": error}
            if not error:
                rates = [
                    (many["executions"] / many["seconds"], one["executions"] / one["seconds"]) for many, one in done
                ]
                row["per_second"] = round(statistics.median(rate for rate, _ in rates), 1)
                row["times_one"] = round(statistics.median(rate / one for rate, one in rates), 3)
                row["equal"] = all(many[key] == one[key] for many, one in done for key in EQUAL)
            rows.append(row)
    return rows


async def by_size(rounds: int) -> dict[str, dict[int, list[float]]]:
    """Milliseconds by actors and by statements."""
    with embedded_server() as server:
        async with aclosing(Explorer(server)) as explorer:
            actors = await timed(explorer, {size: program(size, FEW) for size in ACTORS}, rounds)
            statements = await timed(explorer, {size: program(TWO, size) for size in STATEMENTS}, rounds)
    return {"actors": actors, "statements": statements}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=50, help="executions of each size")
    parser.add_argument("--executions", type=int, default=1000, help="of a hunt")
    parser.add_argument("--hunts", type=int, default=3, help="for each scheduler and number of workers; 0 for none")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sizes = asyncio.run(by_size(options.rounds))
    result: dict[str, object] = {"rounds": options.rounds, "executions": options.executions}
    rows: list[tuple[str, str, str]] = []
    for what, times in sizes.items():
        middle, low, high = exponent(times)
        interval = [None if math.isinf(each) else round(each, 3) for each in (low, high)]
        by = [
            {what: size, "ms": round(Spread.of(each).median, 3), "per_second": round(1000 / Spread.of(each).median, 1)}
            for size, each in times.items()
        ]
        result[f"by_{what}"], result[f"exponent_of_{what}"] = by, round(middle, 3)
        result[f"exponent_of_{what}_95"] = interval
        rows += [(f"{size} {what}", str(Spread.of(each)), "") for size, each in times.items()]
        rows.append((f"growth with {what}", f"size^{middle:.3f}", f"[{low:.3f} … {high:.3f}]"))
    result["by_workers"] = hunts = by_workers(options.executions, options.hunts) if options.hunts else []
    for each in hunts:
        name = f"{each['scheduler']}, {each['workers']} workers"
        said = each["error"] or f"{each['times_one']} times one{'' if each['equal'] else ', NOT EQUAL'}"
        rows.append((name, "-" if each["error"] else f"{each['per_second']} a second", said))
    show("throughput", ("what", "ms (quartiles), or executions", ""), rows, result, as_json=options.json)
    return 0 if all(each.get("equal", True) for each in hunts) else 1


if __name__ == "__main__":
    sys.exit(main())
