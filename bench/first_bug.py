"""Executions and seconds to the first violation of each planted bug: which scheduler finds what, and how soon.

Every planted bug of the catalogue is hunted with every scheduler and many seeds, each hunt up to its first violation or
to its last execution. The table shows the median, the 90th percentile and the chance of the bug in one execution: hunts
that ended with it over all executions that were made, with its 95 % interval (Wilson 1927). A hunt that did not find
the bug counts as one that would have needed more than it was given. A search without chance is run on one seed only.

The last column compares the portfolio with the best single scheduler of each bug, by the median and by the mean of the
executions that a hunt spent. What counts is that the portfolio is never much worse, since nobody knows beforehand which
one is best. The best of several is also the luckiest, so with few seeds the ratio is worse than the truth.

    python bench/first_bug.py
    python bench/first_bug.py --seeds 5 --targets deadlock --schedulers random,urw,portfolio --json
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

from _common import show

from lab.errors import SearchOver
from lab.explore import Explorer
from lab.postgres.server.embedded import embedded_server
from lab.scenario.declare import Scenario, kind_of, target_of
from lab.scenario.registry import discover, instance_of
from lab.schedulers import SCHEDULERS, Scheduler, make_scheduler

WITHOUT_CHANCE = {"dfs", "directed", "dpor", "serial"}
PORTFOLIO = "portfolio"
Z = 1.96
"""Standard normal quantile of a 95 % interval."""


@dataclass(frozen=True)
class Order:
    """One planted bug, to be hunted with some schedulers."""

    target: str
    schedulers: tuple[str, ...]
    seeds: int
    executions: int


@dataclass(frozen=True)
class Hunts:
    """The hunts of one bug with one scheduler: the executions that they spent, and the first with the bug of each."""

    target: str
    scheduler: str
    hunts: int
    spent: int
    first: tuple[int, ...]
    """Of the hunts that found it, ascending."""
    seconds: tuple[float, ...] = ()
    """Until then, of the same hunts, ascending."""

    @property
    def mean(self) -> float:
        """Executions spent by a hunt."""
        return self.spent / self.hunts

    @property
    def chance(self) -> tuple[float, float, float]:
        """Of the bug in one execution: (estimate, lower, upper)."""
        return wilson(len(self.first), self.spent)

    def quantile(self, share: float) -> float:
        """The number of executions within which this share of the hunts found the bug; infinite if fewer did."""
        place = math.ceil(share * self.hunts) - 1
        return self.first[place] if place < len(self.first) else math.inf

    @property
    def median_seconds(self) -> float:
        """Seconds within which half of the hunts found the bug, with all but the start; infinite if fewer did."""
        place = math.ceil(0.5 * self.hunts) - 1
        return self.seconds[place] if place < len(self.seconds) else math.inf

    def as_json(self) -> dict[str, object]:
        """Plain figures; a percentile is null when fewer hunts found the bug."""
        chance = [round(each, 5) for each in self.chance]
        quantiles = {"median": finite(self.quantile(0.5)), "p90": finite(self.quantile(0.9))}
        quantiles["median_seconds"] = finite(self.median_seconds)
        seconds = [round(each, 4) for each in self.seconds]
        return {**asdict(self), **quantiles, "seconds": seconds, "mean": round(self.mean, 2), "chance": chance}


def finite(figure: float) -> float | None:
    """JSON has no infinity."""
    return round(figure, 3) if figure < math.inf else None


def wilson(found: int, trials: int) -> tuple[float, float, float]:
    """A share and its 95 % interval."""
    share = found / trials
    middle = (share + Z * Z / (2 * trials)) / (1 + Z * Z / trials)
    width = Z / (1 + Z * Z / trials) * math.sqrt(share * (1 - share) / trials + Z * Z / (4 * trials * trials))
    return share, max(0.0, middle - width), min(1.0, middle + width)


def work(order: Order) -> list[Hunts]:
    """Hunt one bug, in this process, on a server of its own."""
    sys.path.insert(0, str(Path.cwd()))
    with embedded_server() as server:
        return asyncio.run(_work(order, Explorer(server)))


async def hunt(explorer: Explorer, scenario: Scenario, scheduler: Scheduler, most: int) -> tuple[int, bool, float]:
    """Executions and seconds until the first violation, the end of the search or the given number.

    The second value says whether there was a violation.
    """
    started = perf_counter()
    for number in range(most):
        try:
            record = await explorer.run(scenario, scheduler, execution=number)
        except SearchOver:
            return number, False, perf_counter() - started
        if record.failed:
            return number + 1, True, perf_counter() - started
    return most, False, perf_counter() - started


async def _work(order: Order, explorer: Explorer) -> list[Hunts]:
    scenario = instance_of(order.target)
    done = []
    try:
        for name in order.schedulers:
            seeds = 1 if name in WITHOUT_CHANCE else order.seeds
            hunted = [
                await hunt(explorer, scenario, make_scheduler(name, seed), order.executions) for seed in range(seeds)
            ]
            first = sorted(spent for spent, found, _ in hunted if found)
            seconds = sorted(each for _, found, each in hunted if found)
            spent = sum(spent for spent, _, _ in hunted)
            done.append(Hunts(order.target, name, seeds, spent, tuple(first), tuple(seconds)))
    finally:
        await explorer.aclose()
    return done


def compared(hunts: Sequence[Hunts]) -> dict[str, object] | None:
    """The portfolio against the best single scheduler of one bug; None if one of them was not run or found nothing."""
    mixed = [each for each in hunts if each.scheduler == PORTFOLIO]
    single = [each for each in hunts if each.scheduler != PORTFOLIO and each.first]
    if not mixed or not single:
        return None
    best = min(single, key=lambda each: (each.quantile(0.5), each.mean))
    ratio = mixed[0].quantile(0.5) / best.quantile(0.5) if best.quantile(0.5) < math.inf else math.inf
    ratio_of_means = mixed[0].mean / min(each.mean for each in single)
    return {"best": best.scheduler, "ratio": finite(ratio), "ratio_of_means": finite(ratio_of_means)}


def row(each: Hunts, against: dict[str, object] | None) -> tuple[str, ...]:
    """A line of the table."""
    median, most = (f"{figure:.0f}" if figure < math.inf else "-" for figure in map(each.quantile, (0.5, 0.9)))
    chance, low, high = each.chance
    mixed = ""
    if against and each.scheduler == PORTFOLIO:
        mixed = f"{against['ratio']}, {against['ratio_of_means']} ({against['best']})"
    of = f"{len(each.first)}/{each.hunts}"
    seconds = f"{each.median_seconds:.3f}" if each.median_seconds < math.inf else "-"
    return each.scheduler, of, median, most, seconds, f"{chance:.3f} [{low:.3f} … {high:.3f}]", mixed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--executions", type=int, default=200, help="of a hunt, at most")
    parser.add_argument(
        "--targets", default="", help="only planted bugs with one of these, comma-separated, in their names"
    )
    parser.add_argument("--schedulers", default=",".join(sorted(set(SCHEDULERS) - {"serial"})), help="comma-separated")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    schedulers = tuple(options.schedulers.split(","))
    for name in schedulers:
        make_scheduler(name, 0)
    sys.path.insert(0, str(Path.cwd()))
    wanted = options.targets.split(",")
    targets = [target_of(cls) for cls in discover() if kind_of(cls) == "planted"]
    targets = [target for target in targets if any(each in target for each in wanted)]
    orders = [Order(target, schedulers, options.seeds, options.executions) for target in targets]
    hunts: dict[str, list[Hunts]] = defaultdict(list)
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in pool.map(work, orders):
            hunts[done[0].target] += done
    comparison = {target: found for target, done in hunts.items() if (found := compared(done))}
    rows = []
    for target, done in hunts.items():
        for number, each in enumerate(done):
            name = "" if number else target.removeprefix("scenarios.")
            rows.append((name, *row(each, comparison.get(target))))
    result = {
        "seeds": options.seeds,
        "executions": options.executions,
        "hunts": [each.as_json() for done in hunts.values() for each in done],
        "portfolio": comparison,
        "worst_ratio": max((each["ratio"] for each in comparison.values() if each["ratio"]), default=None),
    }
    title = f"{options.seeds} seeds, {options.executions} executions at most"
    counts = ("found", "median", "90 %", "seconds")
    columns = ("planted bug", "scheduler", *counts, "chance in one execution", "against the best")
    show(title, columns, rows, result, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
