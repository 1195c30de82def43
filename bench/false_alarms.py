"""Whether the check by serial runs objects to what is right, and to all that is wrong.

Forty right programs (`_programs.py`) are executed at three isolation levels under schedules drawn at random; their
twins, which lack a lock or a version check, are hunted at READ COMMITTED.

    python bench/false_alarms.py                     # 8,040 executions of right programs, 40 hunts
    python bench/false_alarms.py --executions 20     # fewer of each program at each level
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

from _common import show
from _programs import Program, programs

from lab.explore import Conditions, Explorer
from lab.postgres.server.embedded import embedded_server
from lab.scenario.declare import ISOLATION_LEVELS
from lab.schedulers import make_scheduler
from lab.search.hunt import Hunt

WITHIN = 200
"""Executions within which a wrong twin must be found."""


@dataclass
class Count:
    """What came of some programs."""

    executions: int = 0
    alarms: list[str] = field(default_factory=list)
    hunted: int = 0
    missed: list[str] = field(default_factory=list)
    needed: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Count) -> None:
        """Take another count into this one."""
        self.executions += other.executions
        self.alarms += other.alarms
        self.hunted += other.hunted
        self.missed += other.missed
        self.needed += other.needed
        self.seconds += other.seconds


def work(share: tuple[int, int, int, int]) -> Count:
    """Every `workers`-th program, right and wrong, on a server of this process's own."""
    executions, seed, worker, workers = share
    with embedded_server() as server:
        return asyncio.run(_work(Explorer(server), executions, seed, worker, workers))


async def _work(explorer: Explorer, executions: int, seed: int, worker: int, workers: int) -> Count:
    count, started = Count(), perf_counter()
    try:
        for right in list(programs(right=True))[worker::workers]:
            await _right(explorer, right, executions, seed, count)
        for wrong in list(programs(right=False))[worker::workers]:
            await _wrong(explorer, wrong, seed, count)
    finally:
        await explorer.aclose()
    count.seconds = perf_counter() - started
    return count


async def _right(explorer: Explorer, program: Program, executions: int, seed: int, count: Count) -> None:
    for level in ISOLATION_LEVELS:
        scheduler = make_scheduler("random", seed)
        for number in range(executions):
            conditions = Conditions(level, checks=("serial",))
            record = await explorer.run(program, scheduler, conditions, execution=number)
            count.executions += 1
            count.alarms += [f"{program!r} at {level}, {number}: {each.message}" for each in record.findings]


async def _wrong(explorer: Explorer, program: Program, seed: int, count: Count) -> None:
    conditions = Conditions(checks=("serial",))
    result = await Hunt.of(program, executions=WITHIN, seed=seed, refine=False, conditions=conditions).run(explorer)
    count.hunted += 1
    if result.failures:
        count.needed.append(result.executions)
    else:
        count.missed.append(repr(program))


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=67, help="of each right program at each level")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    shares = [(options.executions, options.seed, each, options.workers) for each in range(options.workers)]
    total = Count()
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        for count in pool.map(work, shares):
            total.add(count)
    rows = [
        ("executions of right programs", total.executions, f"{len(total.alarms)} false alarms"),
        (
            "wrong twins",
            total.hunted,
            f"{len(total.missed)} missed; found in execution {max(total.needed, default=0)} at the latest",
        ),
    ]
    result = {
        "executions": total.executions,
        "alarms": total.alarms,
        "hunted": total.hunted,
        "missed": total.missed,
        "found_at_the_latest": max(total.needed, default=0),
    }
    show("The check by serial runs", ("what", "how many", "of them"), rows, result, as_json=options.json)
    for each in (*total.alarms, *(f"missed: {name}" for name in total.missed)):
        print(each)
    return 1 if total.alarms or total.missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
