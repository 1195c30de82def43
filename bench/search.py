"""Executions to the first violation of each planted bug, for each scheduler: which policy finds what, and how soon.

Every planted bug of the catalogue is hunted with every scheduler and many seeds, each hunt up to its first violation or
to its last execution. The table shows the median, the 90th percentile and the chance of the bug in one execution: hunts
that ended with it over all executions that were made, with its 95 % interval (Wilson 1927). A hunt that did not find
the bug counts as one that would have needed more than it was given. A search without chance is run on one seed only.

The last columns compare the portfolio with the best single sampler of each bug, by the mean number of executions that
a hunt spent. What counts is that the portfolio is never much worse, since nobody knows beforehand which one is best.

    python bench/search.py
    python bench/search.py --seeds 5 --targets deadlock --schedulers random,urw,portfolio --json
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from _common import show

from lab.explore import Explorer
from lab.postgres.embedded import embedded_server
from lab.registry import discover, instance_of
from lab.scenario import kind_of, target_of
from lab.schedulers import INDEPENDENT, SCHEDULERS, make_scheduler

WITHOUT_CHANCE = {"dfs", "dpor", "serial"}
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
    """The hunts of one bug with one scheduler: executions of each, and how many of them ended with the bug."""

    target: str
    scheduler: str
    spent: tuple[int, ...]
    found: int

    @property
    def mean(self) -> float:
        """Executions spent by a hunt."""
        return statistics.mean(self.spent)

    @property
    def chance(self) -> tuple[float, float, float]:
        """Of the bug in one execution: (estimate, lower, upper)."""
        return wilson(self.found, sum(self.spent))

    def as_json(self, executions: int) -> dict[str, object]:
        """Plain figures; a percentile is null when so many hunts did not find the bug."""
        return {
            **asdict(self),
            "hunts": len(self.spent),
            "median": _given(self.quantile(0.5), executions),
            "p90": _given(self.quantile(0.9), executions),
            "chance": [round(each, 5) for each in self.chance],
        }

    def quantile(self, share: float) -> float:
        """The number of executions within which this share of the hunts found the bug; infinite if fewer did."""
        place = math.ceil(share * len(self.spent)) - 1
        return sorted(self.spent)[place] if place < self.found else math.inf


def _given(quantile: float, executions: int) -> float | None:
    return quantile if quantile <= executions else None


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


async def _work(order: Order, explorer: Explorer) -> list[Hunts]:
    scenario = instance_of(order.target)
    done = []
    try:
        for name in order.schedulers:
            spent, found = [], 0
            for seed in range(1 if name in WITHOUT_CHANCE else order.seeds):
                scheduler = make_scheduler(name, seed)
                for number in range(order.executions):
                    if not scheduler.begin(number):
                        spent.append(number)
                        break
                    if (await explorer.run(scenario, scheduler)).failed:
                        found += 1
                        spent.append(number + 1)
                        break
                else:
                    spent.append(order.executions)
            done.append(Hunts(order.target, name, tuple(spent), found))
    finally:
        await explorer.aclose()
    return done


def compared(hunts: Sequence[Hunts]) -> dict[str, object] | None:
    """The portfolio against the best single sampler of one bug; None if one of them was not run."""
    mixed = [each for each in hunts if each.scheduler == PORTFOLIO]
    single = [each for each in hunts if each.scheduler in INDEPENDENT]
    if not mixed or not single:
        return None
    best = min(single, key=lambda each: each.mean)
    return {"best": best.scheduler, "ratio": round(mixed[0].mean / best.mean, 3)}


def row(each: Hunts, executions: int) -> tuple[str, ...]:
    """A line of the table."""

    def text(share: float) -> str:
        quantile = each.quantile(share)
        return f"{quantile:.0f}" if quantile <= executions else f"> {executions}"

    chance, low, high = each.chance
    of = f"{each.found}/{len(each.spent)}"
    return each.scheduler, of, text(0.5), text(0.9), f"{chance:.3f} [{low:.3f} … {high:.3f}]"


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
        against = comparison.get(target)
        for number, each in enumerate(done):
            mixed = f"{against['ratio']:.2f} of {against['best']}" if against and each.scheduler == PORTFOLIO else ""
            rows.append(("" if number else target.removeprefix("scenarios."), *row(each, options.executions), mixed))
    result = {
        "seeds": options.seeds,
        "executions": options.executions,
        "hunts": [each.as_json(options.executions) for done in hunts.values() for each in done],
        "portfolio": comparison,
        "worst_ratio": max((each["ratio"] for each in comparison.values()), default=None),
    }
    title = f"{options.seeds} seeds, {options.executions} executions at most"
    columns = ("planted bug", "scheduler", "found", "median", "90 %", "chance in one execution", "against the best")
    show(title, columns, rows, result, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
