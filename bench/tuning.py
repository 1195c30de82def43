"""How many times the executions of the best scheduler what `lab tune` recommends needs, on seeds that it did not see.

Each of six planted bugs of different kinds is tuned, in at most a minute. Then every scheduler hunts it on fresh seeds,
each hunt up to its first violation or to the cap, taking turns. The ratio is that of restricted means, recommended to
best. Its interval is a bootstrap of the hunts (percentiles); the best of several is also the luckiest, so with few
seeds the ratio is worse than the truth. On the right variants tuning is to say that nothing separates the schedulers.

    python bench/tuning.py
    python bench/tuning.py --kinds shallow,padded --fresh 30 --json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

import numpy as np
from _common import show
from scipy import stats

from lab.analysis.searches import MUCH, Searches
from lab.analysis.standings import Standings
from lab.explore import Conditions, Explorer
from lab.postgres.server.embedded import embedded_server
from lab.report.tuning import sentence
from lab.scenario.registry import instance_of
from lab.search.tuning.candidates import USUAL, Candidate, candidates
from lab.search.tuning.race import Race
from lab.search.tuning.samples import Subject, searched

ROOT = Path(__file__).parents[1]
KINDS = {
    "shallow": "scenarios.transfer:LostUpdate",
    "depth 2": "scenarios.optimistic:BlindUpdateAfterTheComparison",
    "depth 3": "scenarios.isolation:ReadOnlyAnomaly",
    "padded": "helpers.padded:PaddedRing",
    "inside a statement": "scenarios.deadlock:PriceListsInOrderOfTheFile",
    "needing a fault": "scenarios.atomicity:OneLegPerCommit",
}
"""Kind of bug -> the scenario that has it."""
RIGHT = ("scenarios.transfer:Transfer", "scenarios.pessimistic:Withdrawals")
FEW, FAR = 10, 2.5
"""A scheduler that after so many fresh seeds needs so many times the executions of the best is not run any more."""
FRESH = 1_000_000
"""The first fresh seed: tuning counts from 0."""


def mean_of(searches: Searches, cap: int) -> float:
    return float(np.mean(searches.figures(1, cap)))


async def fresh(explorer: Explorer, subject: Subject, options: argparse.Namespace, kept: str) -> Standings:
    """Every scheduler on fresh seeds, in turn; one that no seed changes once, and one that is far behind few times."""
    compared = candidates(USUAL)
    every = [Searches(each.name, each.scheduler, each.options, each.by_chance, each.is_default) for each in compared]
    best = 0.0
    for number in range(options.fresh):
        if number == FEW:
            best = min(mean_of(each, options.cap) for each in every)
        for each, searches in zip(compared, every, strict=True):
            far = number >= FEW and each.name != kept and mean_of(searches, options.cap) > FAR * best
            if not far and (each.by_chance or not number):
                trial = await searched(explorer, subject, each, FRESH + number, options.cap, options.cap, float("inf"))
                searches.trials.append(trial)
    return Standings("", tuple(every), options.cap, seeds=options.fresh)


def ratio(recommended: Searches, best: Searches, most: int, seeds: int) -> tuple[float, float, float]:
    """Of restricted means, with its interval."""
    figures = [each.figures(seeds, most) for each in (recommended, best)]
    value = float(np.mean(figures[0]) / np.mean(figures[1]))
    if recommended is best or all(len(set(each)) == 1 for each in figures):
        return value, value, value

    def of_means(one, other, axis):
        return np.mean(one, axis=axis) / np.mean(other, axis=axis)

    interval = stats.bootstrap(figures, of_means, n_resamples=2000, method="percentile", rng=15).confidence_interval
    return value, float(interval.low), float(interval.high)


async def tuned(explorer: Explorer, target: str, options: argparse.Namespace) -> Standings:
    subject = Subject(instance_of(target), Conditions())
    race = Race(subject, candidates(USUAL), seeds=options.seeds, cap=options.cap, seconds=options.seconds)
    return await race.run(explorer)


async def judged(explorer: Explorer, kind: str, options: argparse.Namespace) -> dict[str, object]:
    """One bug: what is recommended, and how it does on fresh seeds."""
    target = KINDS[kind]
    began = time.monotonic()
    standings = await tuned(explorer, target, options)
    took = time.monotonic() - began
    first = standings.judged().first
    name = Candidate("portfolio").name if first is None else first.name
    afresh = await fresh(explorer, Subject(instance_of(target), Conditions()), options, name)
    look = afresh.look(afresh.searches)
    means = {each.name: round(look.mean(each), 3) for each in afresh.searches}
    best = min(afresh.searches, key=look.mean)
    recommended = next(each for each in afresh.searches if each.name == name)
    value, low, high = ratio(recommended, best, options.cap, options.fresh)
    return {
        "kind": kind,
        "target": target,
        "recommended": name,
        "best": best.name,
        "ratio": round(value, 3),
        "ratio_interval": [round(low, 3), round(high, 3)],
        "means": means,
        "fresh": {each.name: len(each.trials) for each in afresh.searches},
        "tuning": {
            "seconds": round(took, 1),
            "executions": standings.executions,
            "seeds": standings.seeds,
            "certain": standings.certain,
            "sentence": sentence(standings.judged()),
        },
    }


async def measured(options: argparse.Namespace) -> dict[str, object]:
    rows, right = [], []
    with embedded_server() as server:
        for kind in options.kinds.split(","):
            async with aclosing(Explorer(server)) as explorer:
                rows.append(await judged(explorer, kind, options))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        for target in RIGHT if options.right else ():
            async with aclosing(Explorer(server)) as explorer:
                right.append(
                    {"target": target, "sentence": sentence((await tuned(explorer, target, options)).judged())}
                )
    worst = max(float(str(row["ratio"])) for row in rows)
    separated = [each["target"] for each in right if not str(each["sentence"]).startswith("Nothing separates them")]
    return {"rows": rows, "right": right, "worst_ratio": worst, "within": worst <= MUCH, "right_separated": separated}


def row(each: Mapping[str, object]) -> tuple[object, ...]:
    low, high = each["ratio_interval"]
    tuning, means = each["tuning"], each["means"]
    shown = [f"{name} {means[name]}" for name in (each["recommended"], each["best"])]
    return each["kind"], *shown, f"{each['ratio']} [{low} … {high}]", f"{tuning['seconds']} s, {tuning['seeds']} seeds"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kinds", default=",".join(KINDS), help="comma-separated")
    parser.add_argument("--fresh", type=int, default=100, help="seeds that tuning did not see")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cap", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=50.0, help="for each tuning")
    parser.add_argument("--right", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
    result = asyncio.run(measured(options))
    title = f"{options.fresh} fresh seeds, {options.cap} executions at most"
    columns = ("kind", "recommended, executions", "best, executions", "ratio", "tuned in")
    show(title, columns, [row(each) for each in result["rows"]], result, as_json=options.json)
    return 0 if result["within"] and not result["right_separated"] else 1


if __name__ == "__main__":
    sys.exit(main())
