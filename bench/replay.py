"""How often a replay differs from the execution that it repeats. The answer has to be: never.

Each schedule is executed once at random and then replayed. A replay counts as diverged when its trace, an actor's
result or the final rows differ, or when it raised `Divergence`. The same is done with fewer executions on a server
whose backends may not be frozen, to show what freezing is for.

    python bench/replay.py                                  # 2,500 schedules, 10,000 replays, two workers
    python bench/replay.py --executions 3750 --busy-loops 3 # 3,000 on a machine that has no time for it
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import multiprocessing
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

from _common import show
from _workloads import WORKLOADS

from lab.errors import Divergence
from lab.explore import Explorer
from lab.model.outcome import Ending
from lab.model.record import ExecutionRecord
from lab.postgres.server.embedded import embedded_server
from lab.postgres.server.server import Server
from lab.scenario.declare import ISOLATION_LEVELS, Scenario
from lab.schedulers import make_scheduler
from lab.schedulers.replay import Replay

REPLAYS = 4
"""Replays of one schedule."""
DESCRIBED = 3
"""Divergences that are printed step by step; the others are only counted."""


@dataclass(frozen=True)
class Order:
    """What one worker does: every `workers`-th schedule of a workload, until its executions are used up."""

    workload: str
    frozen: bool
    executions: int
    seed: int
    worker: int
    workers: int


@dataclass
class Count:
    """The result."""

    executions: int = 0
    replays: int = 0
    diverged: int = 0
    seconds: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)
    """Executions in which something notable happened: a lock wait, a breakpoint, a deadlock, an abort."""
    described: list[str] = field(default_factory=list)

    def add(self, other: Count) -> None:
        """Take another count into this one."""
        self.executions += other.executions
        self.replays += other.replays
        self.diverged += other.diverged
        self.seconds += other.seconds
        self.seen += other.seen
        self.described += other.described


def work(order: Order) -> Count:
    """Run an order in this process, on a server of its own."""
    with embedded_server() as server:
        # `replace` alone would share the closing of the server, so the copy is never closed itself.
        used = server if order.frozen else dataclasses.replace(server, may_freeze=lambda pid: False)
        return asyncio.run(_work(used, order))


async def _work(server: Server, order: Order) -> Count:
    explorer, count = Explorer(server), Count()
    started = perf_counter()
    try:
        makers = WORKLOADS[order.workload]
        for number in itertools.count(order.worker, order.workers):
            if count.executions >= order.executions:
                break
            make = makers[number // len(ISOLATION_LEVELS) % len(makers)]
            await _one_schedule(explorer, make(order.seed + number), number, order, count)
    finally:
        await explorer.aclose()
    count.seconds = perf_counter() - started
    return count


async def _one_schedule(explorer: Explorer, scenario: Scenario, number: int, order: Order, count: Count) -> None:
    level = ISOLATION_LEVELS[number % len(ISOLATION_LEVELS)]
    scheduler = make_scheduler("random", order.seed)
    first = await explorer.run(scenario, scheduler, execution=number, isolation=level)
    count.executions += 1
    count.seen += Counter(_happened(first))
    replay = Replay(first.schedule)
    for _ in range(min(REPLAYS, order.executions - count.executions)):
        count.executions += 1
        count.replays += 1
        try:
            again = await explorer.run(scenario, replay, isolation=level)
        except Divergence as divergence:
            difference = str(divergence)
        else:
            if again.same_as(first):
                continue
            difference = _difference(first, again)
        count.diverged += 1
        if len(count.described) < DESCRIBED:
            frozen = "" if order.frozen else ", unfrozen"
            count.described.append(f"{scenario!r} at {level}, schedule {number}{frozen}: {difference}")


def _happened(record: ExecutionRecord) -> Iterator[str]:
    if any(step.wait for step in record.trace):
        yield "lock wait"
    if record.trace.breakpoints:
        yield "breakpoint"
    if record.outcome.ending is Ending.DEADLOCKED:
        yield "deadlock"
    if any(result.aborted for result in record.outcome.results.values()):
        yield "abort"
    if record.outcome.ending not in (Ending.COMPLETED, Ending.DEADLOCKED):
        yield str(record.outcome.ending)


def _difference(first: ExecutionRecord, again: ExecutionRecord) -> str:
    for one, other in zip(first.trace, again.trace, strict=False):
        if one != other:
            return f"step {one.number}\n  first {one}\n  again {other}"
    for name, result in first.outcome.results.items():
        if result != again.outcome.results[name]:
            return f"result of {name}\n  first {result}\n  again {again.outcome.results[name]}"
    for table, rows in first.outcome.rows.items():
        if rows != again.outcome.rows[table]:
            return f"rows of {table}\n  first {rows}\n  again {again.outcome.rows[table]}"
    return f"{len(first.trace)} steps against {len(again.trace)}, {first.outcome.ending}, {again.outcome.ending}"


def _burn() -> None:
    while True:
        pass


@contextlib.contextmanager
def busy_loops(number: int) -> Iterator[None]:
    """Processes that take the processors away, until the block ends."""
    context = multiprocessing.get_context("spawn")
    loops = [context.Process(target=_burn, daemon=True) for _ in range(number)]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.join()


def orders(options: argparse.Namespace) -> list[Order]:
    """The work, divided: workloads alike, workers alike, and the unfrozen sample beside."""
    divided = []
    for frozen, total in ((True, options.executions), (False, options.unfrozen)):
        shares = [(workload, worker) for workload in WORKLOADS for worker in range(options.workers)]
        for place, (workload, worker) in enumerate(shares):
            share = total // len(shares) + (place < total % len(shares))
            if share:
                divided.append(Order(workload, frozen, share, options.seed, worker, options.workers))
    return divided


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--executions", type=int, default=12_500, help="in all; of five, four are replays")
    parser.add_argument("--unfrozen", type=int, help="executions beside on backends that are not frozen (a tenth)")
    parser.add_argument("--busy-loops", type=int, default=0, help="processes that keep the processors busy meanwhile")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.unfrozen is None:
        options.unfrozen = options.executions // 10
    counts: dict[tuple[bool, str], Count] = {}
    work_to_do = orders(options)
    with (
        busy_loops(options.busy_loops),
        ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        for order, count in zip(work_to_do, pool.map(work, work_to_do), strict=True):
            counts.setdefault((order.frozen, order.workload), Count()).add(count)
    report(counts, options)
    return 1 if _sum(counts, frozen=True).diverged else 0


def _sum(counts: dict[tuple[bool, str], Count], *, frozen: bool) -> Count:
    total = Count()
    for (kept, _), count in counts.items():
        if kept is frozen:
            total.add(count)
    return total


def report(counts: dict[tuple[bool, str], Count], options: argparse.Namespace) -> None:
    frozen, unfrozen = _sum(counts, frozen=True), _sum(counts, frozen=False)
    result = {
        "executions": frozen.executions,
        "replays": frozen.replays,
        "diverged": frozen.diverged,
        "executions_unfrozen": unfrozen.executions,
        "replays_unfrozen": unfrozen.replays,
        "diverged_unfrozen": unfrozen.diverged,
        "busy_loops": options.busy_loops,
        "seed": options.seed,
        "workloads": {
            name: {
                mode: {
                    "executions": count.executions,
                    "replays": count.replays,
                    "diverged": count.diverged,
                    "schedules_with": dict(count.seen),
                    "ms_per_execution": round(1000 * count.seconds / count.executions, 2),
                }
                for mode, kept in (("frozen", True), ("unfrozen", False))
                if (count := counts.get((kept, name)))
            }
            for name in WORKLOADS
        },
    }
    rows = [
        (
            name,
            "frozen" if kept else "left running",
            count.executions,
            count.replays,
            count.diverged,
            ", ".join(f"{what} {often}" for what, often in sorted(count.seen.items())),
            f"{1000 * count.seconds / count.executions:.1f}",
        )
        for (kept, name), count in counts.items()
    ]
    columns = ("workload", "waiters", "executions", "replays", "diverged", "schedules with", "ms each")
    show(f"Replays, seed {options.seed}, {options.busy_loops} busy loops", columns, rows, result, as_json=options.json)
    for line in (frozen.described or unfrozen.described)[:DESCRIBED]:
        print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
